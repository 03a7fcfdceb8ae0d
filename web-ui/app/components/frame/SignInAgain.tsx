import { useLayoutEffect, useRef } from "preact/hooks";
import { SignIn } from "../SignIn";

/** The sign-in over everything, also over a dialog that was open; what is behind stays, unseen. */
export function SignInAgain() {
  const box = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    return () => {
      box.current?.close();
      // What is behind is not seen before the next frame.
      requestAnimationFrame(() => before instanceof HTMLElement && before.isConnected && before.focus());
    };
  }, []);
  return (
    <dialog ref={box} class="sign-in-again" aria-label="Sign in again" onCancel={(event) => event.preventDefault()}>
      <SignIn />
    </dialog>
  );
}
