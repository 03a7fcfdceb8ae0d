import { between, duration, elapsed, plural, pretty, toolHint } from "../format";
import type { Step, ToolStep } from "../fold/live";
import { now } from "../store";
import { Text } from "./Text";

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
      return <Text text={step.text} />;
    case "tool":
      return <ToolCard tool={step} running={running} />;
    case "thinking":
      return (
        <details class="thinking">
          <summary>Thinking</summary>
          <pre class="plain">{step.text}</pre>
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

function ToolCard({ tool, running }: { tool: ToolStep; running: boolean }) {
  const { result } = tool;
  const state = result ? (result.ok ? "ok" : "failed") : running ? "running" : "cut";
  const label = { ok: "succeeded", failed: "failed", running: "running", cut: "did not end" }[state];
  const time = result ? duration(between(tool.at, result.at)) : running ? elapsed(between(tool.at, now.value)) : label;
  return (
    <details class={`tool ${state}`}>
      <summary>
        <span class="mark" aria-hidden="true" />
        <span class="visually-hidden">Tool, {label}: </span>
        <span class="tool-name">{tool.tool}</span>
        <bdi class="tool-hint">{toolHint(tool.input)}</bdi>
        {tool.steps.length > 0 ? <span class="tool-steps">{plural(tool.steps.length, "step")}</span> : null}
        <span class="tool-time">{time}</span>
      </summary>
      <div class="tool-body">
        {tool.input ? <Field label="Input" text={pretty(tool.input)} /> : null}
        {tool.steps.length > 0 ? (
          <div class="nested" role="group" aria-label="Done by the sub-agent">
            <Steps steps={tool.steps} running={running && !result} />
          </div>
        ) : null}
        {result ? <Field label={result.ok ? "Output" : "Failed"} text={result.preview || "(no output)"} /> : null}
      </div>
    </details>
  );
}

function Field({ label, text }: { label: string; text: string }) {
  return (
    <>
      <p class="field-label">{label}</p>
      <pre class="field" tabIndex={0} dir="auto">
        {text}
      </pre>
    </>
  );
}
