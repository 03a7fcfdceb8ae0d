import { useSignal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useEffect, useRef } from "preact/hooks";
import { fileEdits, plainOutput, readInput, summary } from "../fold/tools";
import { between, duration, elapsed, plural, pretty } from "../format";
import type { Step, ToolStep } from "../fold/live";
import { colour } from "../highlight";
import type { StepDetail } from "../conversation-api";
import { useAction } from "../resource";
import { now } from "../store";
import { turnsApi } from "../turns";
import { CopyButton } from "./CopyButton";
import { ErrorNote } from "./ErrorNote";
import { Text } from "./Text";
import { Diff } from "./turn/Diff";

/** The turn whose steps are drawn. */
export const TurnId = createContext("");

/** What was done, in order. Steps are only ever appended or changed in place, so their index is their key. */
export function Steps({ steps, running }: { steps: readonly Step[]; running: boolean }) {
  return (
    <>
      {steps.map((step, index) => (
        <StepView key={index} step={step} running={running} />
      ))}
    </>
  );
}

function StepView({ step, running }: { step: Step; running: boolean }) {
  switch (step.kind) {
    case "text":
      return <Text text={step.text} growing={step.streaming} />;
    case "tool":
      return <ToolCard tool={step} running={running} />;
    case "thinking":
      return (
        <details class="thinking">
          <summary>Thinking</summary>
          <pre class="plain" dir="auto">{step.text}</pre>
        </details>
      );
    case "retry":
      return (
        <p class="notice" role="note">
          Trying again ({step.attempt} of {step.max}
          {running ? `, after ${duration(step.delayMs)}` : ""}): {step.error}
          {step.status === undefined ? "" : ` (status ${step.status})`}
        </p>
      );
    case "notice":
      return (
        <p class="notice" role="note">
          {step.text}
        </p>
      );
  }
}

/** One line on a call; what went in and came out is drawn when it is opened. */
function ToolCard({ tool, running }: { tool: ToolStep; running: boolean }) {
  const { result } = tool;
  const open = useSignal(false);
  const state = result ? (result.ok ? "ok" : "failed") : running ? "running" : "cut";
  const label = { ok: "succeeded", failed: "failed", running: "running", cut: "did not end" }[state];
  const time = result ? duration(between(tool.at, result.at)) : running ? elapsed(between(tool.at, now.value)) : label;
  return (
    <details class={`tool ${state}`} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>
        <span class="mark" aria-hidden="true" />
        <span class="visually-hidden">Tool, {label}: </span>
        <span class="tool-name">{tool.tool}</span>
        <bdi class="tool-hint">{summary(tool.input)}</bdi>
        {tool.steps.length > 0 ? <span class="tool-steps">{plural(tool.steps.length, "step")}</span> : null}
        <span class="tool-time">{time}</span>
      </summary>
      {open.value ? <ToolBody tool={tool} running={running} /> : null}
    </details>
  );
}

function ToolBody({ tool, running }: { tool: ToolStep; running: boolean }) {
  const whole = useSignal<StepDetail | undefined>(undefined);
  const { result } = tool;
  const input = whole.value ? inputOf(whole.value) : tool.input;
  const output = whole.value?.output ?? result?.preview;
  const edits = fileEdits(tool.tool, input);
  return (
    <div class="tool-body">
      {edits ? <Diff edits={edits} /> : input ? <Input tool={tool.tool} input={input} /> : null}
      {tool.steps.length > 0 ? (
        <div class="nested" role="group" aria-label="Done by the sub-agent">
          <Steps steps={tool.steps} running={running && !result} />
        </div>
      ) : null}
      {result ? <Field label={result.ok ? "Output" : "Failed"} text={plainOutput(output ?? "") || "(no output)"} /> : null}
      {whole.value ? <Beyond whole={whole.value} /> : isCut(tool) ? <Whole tool={tool.id} found={(detail) => (whole.value = detail)} /> : null}
    </div>
  );
}

/** As JSON text. One that is not whole comes as the beginning of that. */
function inputOf({ input, input_cut }: StepDetail): string | undefined {
  if (input == null) return undefined;
  return input_cut && typeof input === "string" ? `${input}…` : JSON.stringify(input);
}

/** The live feed has the beginning of what is long. */
function isCut({ input, result }: ToolStep): boolean {
  return Boolean(input?.endsWith("…") || result?.preview.endsWith("…"));
}

/** Reads all that went in and came out. */
function Whole({ tool, found }: { tool: string; found: (detail: StepDetail) => void }) {
  const turn = useContext(TurnId);
  const action = useAction();
  const error = action.error.value;
  if (error?.status === 404) return <p class="hint">The rest is not kept any more.</p>;
  return (
    <>
      {error ? <ErrorNote error={error} /> : null}
      <button type="button" class="small" disabled={action.busy.value} onClick={() => void action.run(async () => found(await turnsApi.step(turn, tool)))}>
        {action.busy.value ? "Reading…" : error ? "Try again" : "Show all of it"}
      </button>
    </>
  );
}

function Beyond({ whole }: { whole: StepDetail }) {
  return whole.input_cut || whole.output_cut ? <p class="hint">Even this is not all: what is beyond a megabyte is not kept.</p> : null;
}

function Input({ tool, input }: { tool: string; input: string }) {
  const { value, cut } = readInput(input);
  const command = tool === "Bash" && typeof value === "object" && value !== null ? (value as { command?: unknown }).command : undefined;
  const more = cut ? " (its beginning)" : "";
  if (typeof command === "string") return <Field label={`Command${more}`} text={command} language="bash" />;
  return <Field label={`Input${more}`} text={pretty(input)} language={cut ? "" : "json"} />;
}

function Field({ label, text, language = "" }: { label: string; text: string; language?: string }) {
  const code = useRef<HTMLElement>(null);
  useEffect(() => {
    if (code.current) void colour(code.current, language);
  }, [text, language]);
  return (
    <>
      <p class="field-label">
        {label} <CopyButton text={text} label={`Copy: ${label}`} />
      </p>
      <pre class="field" tabIndex={0} dir="auto" role="region" aria-label={label}>
        {/* Another text is another element: the colours are not the page's to compare. */}
        <code key={text} ref={code}>
          {text}
        </code>
      </pre>
    </>
  );
}
