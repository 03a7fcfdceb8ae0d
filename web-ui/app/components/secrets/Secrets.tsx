import { useResource } from "../../resource";
import { secretsApi } from "../../secrets";
import { agents } from "../../store";
import { Attached } from "../agent/Attached";
import { ClaudeSignIn } from "./ClaudeSignIn";
import { Effective } from "./Effective";
import { Stored } from "./Stored";
import "../../styles/agent-tabs.css";

/** What an agent's turns are let in with: how Claude Code signs in, what is stored for them, and what they get in the end. */
export function Secrets({ agent }: { agent: string }) {
  // Each for itself: one that fails takes nothing of the others.
  const names = useResource(secretsApi.names);
  const claude = useResource(secretsApi.claude);
  const effective = useResource(() => secretsApi.effective(agent));
  const changed = (): Promise<unknown> => Promise.all([names.load(), claude.load(), effective.load()]);
  const others = (agents.value ?? []).length - 1;
  return (
    <section class="panel" aria-label="Secrets">
      <div class="column stack">
        <p class="quiet">
          What is stored here is kept by the daemon, never in a note, and no page shows it again. It counts from the next turn on.
        </p>
        <Attached what="What is stored here does not reach that session." />
        <ClaudeSignIn agent={agent} claude={claude} effective={effective} changed={changed} />
        <Stored agent={agent} names={names} others={others} changed={changed} />
        <Effective effective={effective} />
      </div>
    </section>
  );
}
