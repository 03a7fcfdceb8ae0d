import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { cancel, cancelling, messages } from "../../conversation";
import { plural, unturned } from "../../format";
import { editWaiting, hold, line, lineBusy, lineError, loadLine, moveWaiting, release, waitingTurns } from "../../line";
import { useAction } from "../../resource";
import { type TurnBrief, turnsApi } from "../../turns";
import { ErrorNote } from "../ErrorNote";
import { placeAfter } from "../../place";
import { useDragging } from "./useDragging";

/** The messages that wait, in their order, and what can be done about them. */
export function Tray({ name }: { name: string }) {
  const known = line.value;
  const waiting = waitingTurns.value;
  const said = useSignal("");
  // Only at first: what comes later neither opens nor shuts it.
  const first = useRef(waiting.length > 0 ? waiting.length <= 3 : undefined);
  if (first.current === undefined && waiting.length > 0) first.current = waiting.length <= 3;
  const list = useRef<HTMLOListElement>(null);

  const move = async (turn: TurnBrief, by: number): Promise<void> => {
    if (!placeAfter(waiting, turn, by) && !lineBusy.peek().includes(turn.turn)) return;
    if (!(await moveWaiting(name, turn.turn, by))) return;
    const now = waitingTurns.peek();
    said.value = `Now number ${now.findIndex((other) => other.turn === turn.turn) + 1} of ${now.length}.`;
    list.current?.querySelector<HTMLElement>(`[data-turn="${CSS.escape(turn.turn)}"] .grip`)?.focus();
  };
  const dragging = useDragging(list, (turn, by) => {
    const found = waiting.find((other) => other.turn === turn);
    if (found) void move(found, by);
  });

  useEffect(() => {
    // What another one does in the line of a conversation is not told by every event.
    const look = (): void => void (document.hidden || loadLine(name));
    addEventListener("focus", look);
    return () => removeEventListener("focus", look);
  }, []);

  if (waiting.length === 0) return lineError.value ? <div class="tray"><ErrorNote error={lineError.value} /></div> : null;
  const held = waiting.filter((turn) => turn.held).length;
  const more = (known?.waiting ?? 0) - (known?.turns.filter((turn) => turn.state === "waiting").length ?? 0);
  return (
    <details class="tray" open={first.current || undefined}>
      <summary>
        {plural(waiting.length + Math.max(0, more), "message")} in line{held > 0 ? `, ${held} held back` : ""}
      </summary>
      {lineError.value ? <ErrorNote error={lineError.value} /> : null}
      <p id="tray-help" class="visually-hidden">
        Arrow up and arrow down move the message in line.
      </p>
      <ol ref={list} aria-label={`Messages that wait for ${name}`}>
        {waiting.map((turn, index) => (
          <Waiting
            key={turn.turn}
            turn={turn}
            agent={name}
            number={index + 1}
            last={index === waiting.length - 1}
            move={(by) => void move(turn, by)}
            grab={(event) => dragging.start(event, turn.turn)}
          />
        ))}
      </ol>
      {more > 0 ? <p class="hint">and {more} more</p> : null}
      <p class="visually-hidden" role="status">
        {said.value}
      </p>
    </details>
  );
}

interface WaitingProps {
  turn: TurnBrief;
  agent: string;
  number: number;
  last: boolean;
  move: (by: number) => void;
  grab: (event: PointerEvent) => void;
}

function Waiting({ turn, agent, number, last, move, grab }: WaitingProps) {
  const writing = useSignal(false);
  const busy = lineBusy.value.includes(turn.turn) || cancelling.value === turn.turn;
  const name = `Message ${number}`;
  const files = messages.value?.find((message) => message.id === turn.message)?.attachments?.length ?? 0;
  return (
    <li class={`waiting ${turn.held ? "held" : ""}`} data-turn={turn.turn} data-thread={turn.thread} aria-busy={busy}>
      <button
        type="button"
        class="grip"
        aria-label={`Move message ${number}`}
        aria-describedby="tray-help"
        onPointerDown={grab}
        onKeyDown={(event) => {
          const by = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
          if (by === undefined) return;
          event.preventDefault();
          move(by);
        }}
      >
        {number}
      </button>
      {writing.value ? (
        <Edit turn={turn} agent={agent} done={() => (writing.value = false)} />
      ) : (
        <>
          <p class="waiting-text" dir="auto">
            {unturned(turn.text ?? "(cannot be read)")}
          </p>
          {files > 0 ? <span class="held-mark">{plural(files, "file")}</span> : null}
          {turn.held ? <span class="held-mark">Held back</span> : null}
          <span class="row-actions" role="group" aria-label={name}>
            {number > 1 ? (
              <button type="button" class="link narrow-only" aria-label={`${name} one place up`} disabled={busy} onClick={() => move(-1)}>
                ↑
              </button>
            ) : null}
            {last ? null : (
              <button type="button" class="link narrow-only" aria-label={`${name} one place down`} disabled={busy} onClick={() => move(1)}>
                ↓
              </button>
            )}
            <button type="button" class="link" disabled={busy} onClick={() => (writing.value = true)}>
              Edit
            </button>
            <button type="button" class="link" disabled={busy} onClick={() => void (turn.held ? release : hold)(agent, turn.turn)}>
              {turn.held ? "Release" : "Hold"}
            </button>
            <button type="button" class="link" disabled={busy} onClick={() => void cancel(agent, turn.turn)}>
              Cancel
            </button>
          </span>
        </>
      )}
    </li>
  );
}

/** Another text for a waiting message. A line has its beginning, so the whole is asked for. */
function Edit({ turn, agent, done }: { turn: TurnBrief; agent: string; done: () => void }) {
  const draft = useSignal<string | undefined>(undefined);
  const area = useRef<HTMLTextAreaElement>(null);
  const loading = useAction();
  useEffect(() => {
    void loading.run(async () => {
      const known = messages.peek()?.find((message) => message.id === turn.message)?.text;
      draft.value = known ?? (await turnsApi.turn(turn.turn)).text ?? "";
    });
  }, []);
  useLayoutEffect(() => area.current?.focus(), [draft.value === undefined]);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (draft.value?.trim() && (await editWaiting(agent, turn.turn, draft.value))) done();
  };
  if (loading.error.value) return <ErrorNote error={loading.error.value} />;
  if (draft.value === undefined) return <p class="quiet">Loading…</p>;
  return (
    <form
      class="rewrite"
      onSubmit={save}
      onKeyDown={(event) => {
        if (event.key === "Escape") done();
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save(event);
      }}
    >
      <textarea
        ref={area} rows={Math.min(10, draft.value.split("\n").length + 1)} dir="auto" aria-label="Text of the waiting message" value={draft.value}
        onInput={(event) => (draft.value = event.currentTarget.value)}
      />
      <span class="row-actions">
        <button type="submit" class="primary small" disabled={lineBusy.value.includes(turn.turn) || draft.value.trim() === ""}>
          Save
        </button>
        <button type="button" class="small" onClick={done}>
          Leave it
        </button>
      </span>
    </form>
  );
}
