import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { atHub, hub } from "../hub";
import { secretIn } from "../route";
import { expired, signIn, signInByHub, signInByToken, signInError, unusedCode } from "../store";
import { ErrorNote } from "./ErrorNote";
import { Wordmark } from "./Wordmark";

/** Over what somebody was at when the session ended, or alone. */
export function SignIn() {
  const place = hub.value;
  const title = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    // Whoever wrote somewhere behind this is not to go on there unseen.
    if (expired.peek()) title.current?.focus();
  }, []);
  return (
    <main class="sign-in">
      <Wordmark />
      <h1 ref={title} tabIndex={-1}>
        {expired.value ? "Sign in again" : "Sign in"}
      </h1>
      {expired.value ? <p role="alert">Your session has ended. What you were at is kept, and is there again as soon as you are in.</p> : null}
      {place ? <ByHub origin={place.origin} url={place.sign_in_url} here={atHub(place)} /> : null}
      <ByLink other={Boolean(place)} />
    </main>
  );
}

function ByHub({ origin, url, here }: { origin: string; url: string; here: boolean }) {
  const busy = useSignal(false);
  const error = signInError.value;
  const again = async (): Promise<void> => {
    busy.value = true;
    await signInByHub();
    busy.value = false;
  };
  return (
    <section class="by-hub" aria-label="By the hub">
      <p>
        This daemon belongs to the hub at <bdi>{new URL(origin).host}</bdi>.{" "}
        {here ? "Whoever administers it there is let in here." : "Opened there, this page lets in whoever administers it."}
      </p>
      {error && here ? <ErrorNote error={error} /> : null}
      <p class="inline">
        <a class="button primary" href={url}>
          {here ? "Sign in at the hub" : "Open it at the hub"}
        </a>
        {here ? (
          <button type="button" disabled={busy.value} onClick={() => void again()}>
            {busy.value ? "Asking…" : "I am signed in there"}
          </button>
        ) : null}
      </p>
    </section>
  );
}

function ByLink({ other }: { other: boolean }) {
  const text = useSignal(unusedCode.peek());
  const busy = useSignal(false);
  const unreadable = useSignal(false);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const found = secretIn(text.value);
    unreadable.value = found === undefined;
    if (found === undefined || busy.value) return;
    busy.value = true;
    await ("token" in found ? signInByToken(found.token) : signIn(found.code));
    busy.value = false;
  };

  const place = hub.value;
  return (
    <>
      <p>
        {other
          ? "Or, in a terminal on the machine where the daemon runs, type"
          : "This page is open only to whoever can run Reveille's commands here. In a terminal on the machine where it runs, type"}
      </p>
      <pre>reveille open</pre>
      <p>It prints a link that signs a browser in, once. Follow it, or paste it here; a token that was made for you will do too.</p>
      <form onSubmit={submit}>
        <label for="code">Sign-in link, code or token</label>
        <div class="inline">
          <input
            id="code"
            type="text"
            autocomplete="off"
            spellcheck={false}
            required
            aria-describedby="code-help"
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
          <button class="primary" type="submit" disabled={busy.value}>
            {busy.value ? "Signing in…" : "Sign in"}
          </button>
        </div>
        <p id="code-help" class="hint">
          A link or a code keeps this browser signed in. A token is held by this tab alone, until it is reloaded.
        </p>
        {unreadable.value ? (
          <p class="note bad" role="alert">
            There is no sign-in code and no token in this text. The link ends in <code>#sign-in=…</code>, a token begins with <code>pvt_</code>.
          </p>
        ) : signInError.value && !(place && atHub(place) && signInError.value.code.startsWith("hub_")) ? (
          <ErrorNote error={signInError.value} />
        ) : null}
      </form>
    </>
  );
}
