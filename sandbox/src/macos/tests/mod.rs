//! What profiles say, and what is done beside them. None of it has run on a Mac.

mod disk;
mod golden;
mod rules;

use std::path::Path;

use super::layout::{Layout, Use};
use super::profile::{Ways, profile};
use crate::Filesystem;

/// The places of a child, as they may be.
fn layout(filesystem: Filesystem, places: &[(&str, Use)]) -> Layout {
    Layout {
        filesystem,
        places: places.iter().map(|(path, to)| (path.into(), *to)).collect(),
        links: ["/Users/ann/link".into()].into(),
    }
}

/// An agent's conversation, a mount of the user's, and secrets.
fn usual(filesystem: Filesystem) -> Layout {
    let state = "/Users/ann/.reveille";
    let below = |name: &str| format!("{state}/sessions/s1/{name}");
    let (ctl, home, work) = (below("ctl"), below("home"), below("work"));
    layout(
        filesystem,
        &[
            (state, Use::Nothing),
            ("/Users/ann/.claude.json", Use::Nothing),
            ("/Users/ann/.local/share/claude", Use::Read),
            ("/Users/ann/My \"notes\"", Use::Write),
            ("/Users/ann/My \"notes\"/secret", Use::Nothing),
            (&ctl, Use::Read),
            (&home, Use::Write),
            (&work, Use::Write),
        ],
    )
}

fn text(layout: &Layout, ways: &Ways) -> String {
    profile(layout, ways).unwrap()
}

fn ports() -> Ways {
    Ways::Ports(vec![1940, 53128])
}

/// A form of the profile's language: a word or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Word(String),
    String(String),
    List(Vec<Form>),
}

impl Form {
    fn list(&self) -> &[Form] {
        match self {
            Self::List(forms) => forms,
            other => panic!("not a list: {other:?}"),
        }
    }

    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }
}

/// Reads a profile; everything in it has to be a list that ends.
fn forms(text: &str) -> Vec<Form> {
    let (mut open, mut rest): (Vec<Vec<Form>>, _) = (vec![Vec::new()], text);
    while let Some(first) = rest.chars().next() {
        let mut add = None;
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if first == ';' {
            rest = rest.split_once('\n').expect("a line that ends").1;
        } else if first == '"' {
            let (meant, after) = super::quote::tests::read(rest).expect("a string that ends");
            (add, rest) = (Some(Form::String(meant)), after);
        } else if first == '(' {
            open.push(Vec::new());
            rest = &rest[1..];
        } else if first == ')' {
            add = Some(Form::List(open.pop().expect("a list that has begun")));
            rest = &rest[1..];
        } else if let Some(after) = rest.strip_prefix("#\"") {
            let (regex, after) = after.split_once('"').expect("an expression that ends");
            (add, rest) = (Some(Form::String(regex.into())), after);
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "()\";".contains(c));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            (add, rest) = (Some(Form::Word(word.into())), after);
        }
        if let Some(form) = add {
            open.last_mut().expect("a place for it").push(form);
        }
    }
    assert_eq!(open.len(), 1, "a list does not end:\n{text}");
    let forms = open.remove(0);
    assert!(forms.iter().all(|form| matches!(form, Form::List(_))), "{forms:?}");
    forms
}

/// What the rules about paths say about one, as far as this module uses them: the last that matches holds.
fn allows(text: &str, operation: &str, path: &str) -> bool {
    let mut allowed = false;
    for rule in forms(text) {
        let [verdict, rest @ ..] = rule.list() else { continue };
        let is_rule = verdict.is("allow") || verdict.is("deny");
        let (names, filters): (Vec<_>, Vec<_>) = rest.iter().partition(|form| matches!(form, Form::Word(_)));
        let names_it = |form: &&Form| match form {
            Form::Word(name) => match name.strip_suffix('*') {
                Some(start) => operation.starts_with(start),
                None => name == operation,
            },
            _ => false,
        };
        let matches = |filter: &&Form| match filter.list() {
            [kind, Form::String(own)] if kind.is("subpath") => Path::new(path).starts_with(own),
            [kind, Form::String(own)] if kind.is("literal") => Path::new(path) == Path::new(own),
            _ => false,
        };
        let is_default = names.iter().any(|name| name.is("default"));
        if is_rule && (is_default || names.iter().any(names_it)) && (filters.is_empty() || filters.iter().any(matches))
        {
            allowed = verdict.is("allow");
        }
    }
    allowed
}
