//! `reveille token …`

use clap::{Args, Subcommand};
use jiff::{SignedDuration, SpanRelativeTo, Timestamp};
use serde_json::{Value, json};

use super::CliError;
use super::client::{Client, segment};
use super::output::{self, note, one_line, out, safe, table};
use super::vault::or_default;

/// Characters of a label that a line shows.
const LABEL_CHARS: usize = 40;

/// Tokens with scopes: who holds one reads or writes the notes of a vault, or uses the daemon.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token; it is printed once and kept nowhere
    #[command(
        after_help = "Example: reveille token create --write --label laptop --expires 30d\nExample: reveille token create --read --tag meetings\nExample: reveille token create --scope reveille:send --scope vault:default:read --label phone"
    )]
    Create(Create),
    /// The tokens of a vault, or all, without what they are
    #[command(after_help = "Example: reveille token list --json\nExample: reveille token list --all")]
    List {
        /// Those of all vaults and of the daemon itself
        #[arg(long, conflicts_with = "vault")]
        all: bool,
        /// The vault; the first of the configuration otherwise
        #[arg(long)]
        vault: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a token away; it does not work any more from then on
    #[command(after_help = "Example: reveille token revoke t_0f3a9c417be2")]
    Revoke {
        /// Its id, as the list shows it
        id: String,
        /// Only if it is of this vault
        #[arg(long)]
        vault: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The vault; the first of the configuration otherwise
    #[arg(long)]
    vault: Option<String>,
    #[command(flatten)]
    scope: Scope,
    /// What it is good for: reveille:read|send|write|admin, or vault:NAME:read|write|admin; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with_all = ["read", "write", "admin", "vault"])]
    scopes: Vec<String>,
    /// Only notes with this tag or one below it (`TAG/…`); may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// What you call it
    #[arg(long)]
    label: Option<String>,
    /// When it ends, such as 12h or 30d from now; without it never by itself
    #[arg(long, value_name = "SPAN", value_parser = span)]
    expires: Option<SignedDuration>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Scope {
    /// It reads notes and files; the default
    #[arg(long)]
    read: bool,
    /// It writes them too; a message that it writes wakes an agent
    #[arg(long)]
    write: bool,
    /// It also makes and revokes tokens of the vault
    #[arg(long)]
    admin: bool,
}

impl Scope {
    fn text(&self) -> &'static str {
        match (self.write, self.admin) {
            (_, true) => "vault:admin",
            (true, _) => "vault:write",
            _ => "vault:read",
        }
    }
}

fn span(text: &str) -> Result<SignedDuration, String> {
    let parsed = text
        .parse::<jiff::Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    match parsed {
        Ok(span) if span.is_positive() => Ok(span),
        _ => Err("write it like 90m, 12h or 30d".into()),
    }
}

/// The tokens of all vaults and of the daemon itself.
const ALL: &str = "/api/tokens";

fn address(vault: &str) -> String {
    format!("/vault/{}/tokens", segment(vault))
}

impl Token {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::Create(create) => create.run(client).await,
            Self::List { all, vault, json } => {
                let list = match all {
                    true => client.get(ALL).await?,
                    false => client.get(&address(&or_default(client, vault).await?)).await?,
                };
                if json {
                    output::json(&list);
                } else {
                    print(&list);
                }
                Ok(())
            }
            Self::Revoke { id, vault, json } => {
                let answer = revoke(client, &id, vault).await?;
                if json {
                    output::json(&answer);
                } else {
                    out!("revoked {}", safe(&id));
                }
                Ok(())
            }
        }
    }
}

/// Of the vault that is named, or else of the first one, or else wherever it is good for something.
async fn revoke(client: &Client, id: &str, vault: Option<String>) -> Result<Value, CliError> {
    let anywhere = vault.is_none();
    let vault = or_default(client, vault).await?;
    let answer = client.delete(&format!("{}/{}", address(&vault), segment(id))).await;
    let message = match answer {
        Ok(answer) if answer["known"] == false => safe(&format!(
            "the vault {vault} has no token {id}; `reveille token list` shows them"
        )),
        // Who may do something at the daemon may do nothing in a vault.
        Err(CliError::Refused { message }) => message,
        answer => return answer,
    };
    match anywhere {
        true => match client.delete(&format!("{ALL}/{}", segment(id))).await {
            Err(CliError::Refused { .. }) => Err(CliError::Refused { message }),
            answer => answer,
        },
        false => Err(CliError::Refused { message }),
    }
}

impl Create {
    async fn run(self, client: &Client) -> Result<(), CliError> {
        let far = || CliError::Usage("--expires is too far away; leave it out for a token that does not end".into());
        let ends = self
            .expires
            .map(|span| Timestamp::now().checked_add(span).map_err(|_| far()));
        let mut asked = json!({
            "label": self.label,
            "scopes": self.scopes,
            "tags": self.tags,
            "expires_at": ends.transpose()?.map(reveille_vault::note::millis::format),
        });
        let (made, whose) = if self.scopes.is_empty() {
            asked["scopes"] = json!([self.scope.text()]);
            let vault = or_default(client, self.vault).await?;
            (
                client.post(&address(&vault), &asked).await?,
                format!(" for the vault {vault}"),
            )
        } else {
            (client.post(ALL, &asked).await?, String::new())
        };
        if self.json {
            output::json(&made);
            return Ok(());
        }
        // Alone on stdout, so that a script can take it.
        out!("{}", output::text(&made["token"]));
        note(&format!(
            "{}{}: {}. This is the only time that it is shown; take it away with `reveille token revoke {}`.",
            output::text(&made["id"]),
            safe(&whose),
            reach(&made),
            output::text(&made["id"]),
        ));
        Ok(())
    }
}

/// What a token is good for, in a line.
fn reach(token: &Value) -> String {
    let list = |key: &str, before: &str| {
        let texts = token[key].as_array().into_iter().flatten();
        let text = texts.map(output::text).collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            text
        } else {
            format!("{before}{text}")
        }
    };
    format!("{}{}", list("scopes", ""), list("scoped_tags", " on "))
}

fn print(list: &Value) {
    let or_dash = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), safe);
    let tokens = list["tokens"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = tokens
        .map(|token| {
            vec![
                output::text(&token["id"]),
                one_line(token["label"].as_str().unwrap_or("-"), LABEL_CHARS),
                reach(token),
                output::text(&token["created_at"]),
                or_dash(&token["expires_at"]),
                or_dash(&token["last_used_at"]),
            ]
        })
        .collect();
    if rows.is_empty() {
        out!("no tokens; make one with `reveille token create`");
        return;
    }
    table(&["ID", "LABEL", "SCOPES", "CREATED", "EXPIRES", "LAST USED"], &rows);
}
