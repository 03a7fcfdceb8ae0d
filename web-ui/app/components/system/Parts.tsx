import { type ApiError, isNoRoute } from "../../api";
import { health } from "../../store";
import { CopyButton } from "../CopyButton";
import { ErrorNote } from "../ErrorNote";

/** What is to be done, with its `commands` ready to be copied. */
export function Mend({ text }: { text: string }) {
  return (
    <p class="mend">
      {text.split("`").map((part, index) =>
        index % 2 === 0 ? (
          part
        ) : (
          <span key={index} class="command">
            <code>{part}</code>
            {/^[a-z].* /.test(part) && !/[=[]/.test(part) ? <CopyButton text={part} label={`Copy ${part}`} /> : null}
          </span>
        ),
      )}
    </p>
  );
}

interface FailedProps {
  error: ApiError;
  again: () => void;
  /** What this part tells, and where else it is told. */
  what: string;
  elsewhere: string;
}

/** Why a part shows nothing; a daemon that does not know of it yet is no failure. */
export function Failed({ error, again, what, elsewhere }: FailedProps) {
  if (isNoRoute(error)) {
    const { version } = health.value ?? {};
    return (
      <div class="empty">
        <p>
          <strong>
            This daemon{version ? `, version ${version},` : ""} does not tell {what}.
          </strong>
        </p>
        <Mend text={elsewhere} />
      </div>
    );
  }
  return (
    <ErrorNote error={error}>
      <button type="button" onClick={again}>
        Try again
      </button>
    </ErrorNote>
  );
}

/** Something that is shown once and must be taken along now. */
export function Once({ title, text, label, help, done }: { title: string; text: string; label: string; help: string; done: () => void }) {
  return (
    <div class="once" role="group" aria-label={title}>
      <p>
        <strong>{title}</strong>
      </p>
      <div class="once-text">
        <code tabIndex={0}>{text}</code>
        <CopyButton text={text} label={label} />
      </div>
      <p class="hint">{help}</p>
      <div class="row-actions">
        <button type="button" class="small" onClick={done}>
          I have it
        </button>
      </div>
    </div>
  );
}
