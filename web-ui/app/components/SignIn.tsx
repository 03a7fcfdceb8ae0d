import { useSignal } from "@preact/signals";
import { signInCode } from "../route";
import { signIn, signInError, unusedCode } from "../store";
import { ErrorNote } from "./ErrorNote";
import { Wordmark } from "./Wordmark";

export function SignIn() {
  const text = useSignal(unusedCode.peek());
  const busy = useSignal(false);
  const unreadable = useSignal(false);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const code = signInCode(text.value);
    unreadable.value = code === undefined;
    if (code === undefined || busy.value) return;
    busy.value = true;
    await signIn(code);
    busy.value = false;
  };

  return (
    <main class="sign-in">
      <Wordmark />
      <h1>Sign in</h1>
      <p>
        This page is open only to whoever can run Reveille's commands here. In a terminal on the machine where it runs, type
      </p>
      <pre>reveille open</pre>
      <p>It prints a link that signs a browser in, once. Follow it, or paste it here:</p>
      <form onSubmit={submit}>
        <label for="code">Sign-in link or code</label>
        <div class="inline">
          <input
            id="code"
            type="text"
            autocomplete="off"
            spellcheck={false}
            required
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
          <button class="primary" type="submit" disabled={busy.value}>
            Sign in
          </button>
        </div>
        {unreadable.value ? (
          <p class="note bad" role="alert">
            There is no sign-in code in this text. The link ends in <code>#sign-in=…</code>.
          </p>
        ) : signInError.value ? (
          <ErrorNote error={signInError.value} />
        ) : null}
      </form>
    </main>
  );
}
