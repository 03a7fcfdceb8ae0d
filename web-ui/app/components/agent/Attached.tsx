import { selectedAgent } from "../../store";

/** Of an agent whose turns are not the daemon's, `what` that means for a part of its page. */
export function Attached({ what }: { what: string }) {
  if (selectedAgent.value?.backend !== "attached") return null;
  return (
    <p class="note">
      <strong>The daemon runs no turn of this agent:</strong> a session of somebody else takes its messages. {what}
    </p>
  );
}
