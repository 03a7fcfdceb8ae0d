import { type Agent, segment, url } from "../../api";
import { time } from "../../format";
import { minute } from "../../store";
import { CopyButton } from "../CopyButton";

/** How a session takes the messages of an agent whose turns the daemon does not run, and who does so now. */
export function Connect({ agent }: { agent: Agent }) {
  if (agent.backend !== "attached") return null;
  const { name, claimed = [] } = agent;
  const ways: readonly (readonly [where: string, command: string])[] = [
    ["On the daemon's machine", `claude mcp add ${name} -- reveille mcp --channel ${name}`],
    ["From elsewhere, with a token of `reveille token`", `claude mcp add --transport http ${name} ${url(`mcp/${segment(name)}`)} --header "Authorization: Bearer TOKEN"`],
  ];
  return (
    <section aria-label="Sessions">
      <h2>A session takes its messages</h2>
      <p class="quiet">
        The daemon runs no turn of it. Connect a Claude Code session like this; it then takes messages one by one, and answers them.
      </p>
      {ways.map(([where, command]) => (
        <div key={where} class="command">
          <p class="card-line">{where.split("`").map((part, index) => (index % 2 === 1 ? <code key={part}>{part}</code> : part))}</p>
          <div class="command-line">
            <pre class="field" tabIndex={0} role="region" aria-label={where.replaceAll("`", "")}>
              {command}
            </pre>
            <CopyButton text={command} label={`Copy the command: ${where.replaceAll("`", "").toLowerCase()}`} />
          </div>
        </div>
      ))}
      {claimed.length > 0 ? (
        <ul class="lines">
          {claimed.map(({ turn, by, ends_at: end }) => (
            <li key={turn}>
              {by} has taken a message{end ? `, until ${time(end, minute.value)}` : ""}.
            </li>
          ))}
        </ul>
      ) : (
        <p class="quiet">No session has taken a message now.</p>
      )}
    </section>
  );
}
