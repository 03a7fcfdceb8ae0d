import { useSignal } from "@preact/signals";
import { fullTime, time } from "../../format";
import { fromNow } from "../../jobs/when";
import { useAction, useResource } from "../../resource";
import { checkSession, now } from "../../store";
import { systemApi, type Token, type TokenMade } from "../../system/api";
import { isOver, scopeWords } from "../../system/words";
import { Confirm } from "../Confirm";
import { ErrorNote } from "../ErrorNote";
import { NewToken } from "./NewToken";
import { Failed, Mend, Once } from "./Parts";

/** Who else gets in: tokens, browsers, and the PIN before what is dangerous. */
export function TokensPart() {
  const tokens = useResource(systemApi.tokens);
  const making = useSignal(false);
  /** Its text is nowhere else, and gone when it is dismissed or left. */
  const made = useSignal<TokenMade | undefined>(undefined);
  const list = tokens.value.value?.tokens;
  return (
    <section class="stack" aria-label="Tokens">
      {made.value ? (
        <Once
          title={`The token ${made.value.label ?? made.value.id}`}
          text={made.value.token}
          label="Copy the token"
          help="This is the only time that it is shown. Who has it may do what it is for: keep it where you keep passwords."
          done={() => (made.value = undefined)}
        />
      ) : null}
      {making.value ? (
        <NewToken
          close={() => (making.value = false)}
          made={(token) => {
            making.value = false;
            made.value = token;
            void tokens.load();
          }}
        />
      ) : (
        <div class="row-actions">
          <button type="button" class="primary" onClick={() => (making.value = true)}>
            New token
          </button>
          <span class="quiet">For a program, a phone or another machine; it may do what you choose and no more.</span>
        </div>
      )}
      {tokens.error.value ? <Failed error={tokens.error.value} again={() => void tokens.load()} what="its tokens" elsewhere="Type `reveille token list --all` on its machine." /> : null}
      {!list && !tokens.error.value ? <p class="quiet">Loading…</p> : null}
      {list?.length === 0 && !making.value ? (
        <div class="empty">
          <p>
            <strong>There are no tokens.</strong>
          </p>
          <p>This browser needs none. Programs that use the HTTP interface, the MCP door or a vault from elsewhere do.</p>
        </div>
      ) : null}
      <ul class="cards">
        {list?.map((token) => (
          <TokenCard key={token.id} token={token} changed={tokens.load} maker={list.find(({ id }) => id === token.made_by)} />
        ))}
      </ul>
      <Browsers />
      <Pin />
    </section>
  );
}

function TokenCard({ token, changed, maker }: { token: Token; changed: () => Promise<void>; maker: Token | undefined }) {
  const action = useAction();
  const { id, label, scopes, scoped_tags: tags, created_at: created, expires_at: expires, last_used_at: used, made_by: by } = token;
  const over = isOver(token, now.value);
  const name = label || id;
  return (
    <li class="card" aria-label={`Token ${name}`}>
      <div class="card-head">
        <h2>
          <bdi>{name}</bdi>
        </h2>
        {over ? <span class="tag">Expired</span> : null}
      </div>
      <p>
        {scopes.map((scope) => (
          <span key={scope} class="scope" title={scope}>
            {scopeWords(scope)}
          </span>
        ))}
        {tags && tags.length > 0 ? <span class="scope">Only notes with {tags.join(" or ")}</span> : null}
      </p>
      <p class="card-line">
        {used ? (
          <>
            Last used{" "}
            <time dateTime={used} title={fullTime(used)}>
              {time(used, now.value)}
            </time>
          </>
        ) : (
          "Never used"
        )}
        {" · "}
        {expires ? (
          <time dateTime={expires} title={fullTime(expires)}>
            {over ? `ended ${time(expires, now.value)}` : `ends ${fromNow(expires, now.value)}`}
          </time>
        ) : (
          "does not end by itself"
        )}
        {" · made "}
        <time dateTime={created} title={fullTime(created)}>
          {time(created, now.value)}
        </time>
        {by ? ` with ${maker?.label || by}` : ""} {label ? <code>{id}</code> : null}
      </p>
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
      <div class="row-actions">
        <Confirm
          label="Revoke…"
          question={`Revoke ${name}? It stops working at once, with those that were made with it.`}
          yes="Revoke"
          onYes={() => void action.run(() => systemApi.revokeToken(id)).then(changed)}
        />
      </div>
    </li>
  );
}

/** Another browser signs in by a link. */
function Browsers() {
  const link = useSignal<string | undefined>(undefined);
  const action = useAction();
  const make = (): Promise<boolean> =>
    action.run(async () => {
      link.value = (await systemApi.signInLink()).url;
    });
  const signOut = (): Promise<boolean> =>
    action.run(async () => {
      await systemApi.signOutEverywhere();
      await checkSession();
    });
  return (
    <section class="stack part-of" aria-labelledby="browsers">
      <h2 id="browsers">Browsers</h2>
      <p class="quiet">Another browser signs in by a link, which works once and for ten minutes. Who follows it may do everything that you may.</p>
      {link.value ? (
        <Once title="A sign-in link" text={link.value} label="Copy the link" help="It works once, for ten minutes. Send it to nobody else." done={() => (link.value = undefined)} />
      ) : null}
      {action.error.value ? <ErrorNote error={action.error.value} /> : null}
      <div class="row-actions">
        <button type="button" class="small" disabled={action.busy.value} onClick={() => void make()}>
          {link.value ? "Make another link" : "Make a sign-in link"}
        </button>
        <Confirm label="Sign out everywhere…" question="Sign every browser out, this one too?" yes="Sign out" no="Stay" onYes={() => void signOut()} />
      </div>
    </section>
  );
}

/** It is set on the machine alone: else whoever comes first would choose it. */
function Pin() {
  const pin = useResource(systemApi.pin);
  const known = pin.value.value;
  return (
    <section class="stack part-of" aria-labelledby="pin-part">
      <h2 id="pin-part">The PIN</h2>
      {pin.error.value ? <Failed error={pin.error.value} again={() => void pin.load()} what="about its PIN" elsewhere="Type `reveille pin` on its machine." /> : null}
      {known ? (
        <>
          {known.problem ? <p class="bad-text">{known.problem}</p> : null}
          <p>
            {known.configured
              ? "A PIN is set. It is asked for before what is dangerous, such as a new token, and again after five minutes."
              : known.required
                ? "What is dangerous needs a PIN, and none is set yet: until then it is refused here."
                : "No PIN is set, so whoever sits at a browser that is signed in can make tokens and approve connections."}
          </p>
          <Mend text={known.configured ? "To change it or take it away, type `reveille pin set` or `reveille pin clear` on the machine of the daemon." : "To set one, type `reveille pin set` on the machine of the daemon."} />
        </>
      ) : null}
    </section>
  );
}
