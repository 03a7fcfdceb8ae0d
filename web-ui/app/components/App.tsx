import { useSignalEffect } from "@preact/signals";
import { runningTurn } from "../conversation";
import { agents, listError, route, selected, session } from "../store";
import { AgentForm } from "./AgentForm";
import { AgentPage } from "./AgentPage";
import { Banners } from "./Banners";
import { RolePage } from "./connections/Connections";
import { ErrorNote } from "./ErrorNote";
import { Sidebar } from "./Sidebar";
import { SignIn } from "./SignIn";

export function App() {
  useSignalEffect(() => {
    const name = selected.value;
    document.title = name ? `${runningTurn.value ? "● " : ""}${name} · Reveille` : "Reveille";
  });
  if (session.value === "unknown") return <p class="center quiet">Loading…</p>;
  if (session.value === "out") return <SignIn />;
  return (
    <div class={`shell view-${route.value.view}`}>
      <Banners />
      <Sidebar />
      <Main />
    </div>
  );
}

function Main() {
  const at = route.value;
  const list = agents.value;
  if (list === undefined) {
    return (
      <main class="center">
        {listError.value ? <ErrorNote error={listError.value} /> : <p class="quiet">Loading agents…</p>}
      </main>
    );
  }
  if (at.view === "agent") return <AgentPage key={at.name} name={at.name} />;
  if (at.view === "role") return <RolePage key={at.name} holder={at.name} />;
  if (at.view === "new" || list.length === 0) {
    return (
      <main class="page">
        <AgentForm key={at.view === "new" ? at.name : ""} first={list.length === 0} {...(at.view === "new" && at.name ? { name: at.name } : {})} />
      </main>
    );
  }
  return (
    <main class="center">
      <p class="quiet">Choose an agent to read its conversation and write to it.</p>
    </main>
  );
}
