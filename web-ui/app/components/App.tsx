import { useSignalEffect } from "@preact/signals";
import { runningTurn } from "../conversation";
import { agents, expired, listError, route, selected, session } from "../store";
import { AgentForm } from "./AgentForm";
import { AgentPage } from "./AgentPage";
import { Banners } from "./Banners";
import { RolePage } from "./connections/Connections";
import { ErrorNote } from "./ErrorNote";
import { KeysDialog } from "./frame/KeysDialog";
import { RoomBar } from "./frame/RoomBar";
import { ROOMS } from "./frame/rooms";
import { StepUp } from "./frame/StepUp";
import { Sidebar } from "./Sidebar";
import { SignIn } from "./SignIn";
import { SignInAgain } from "./frame/SignInAgain";
import { SignOut } from "./frame/SignOut";

export function App() {
  useSignalEffect(() => {
    const name = selected.value;
    document.title = name ? `${runningTurn.value ? "● " : ""}${name} · Reveille` : "Reveille";
  });
  if (session.value === "unknown") return <p class="center quiet">Loading…</p>;
  const out = session.value === "out";
  if (out && !expired.value) return <SignIn />;
  return (
    <>
      {out ? <SignInAgain /> : null}
      <Shell out={out} />
    </>
  );
}

/** All but the sign-in. Who has to sign in again finds it as it was left. */
function Shell({ out }: { out: boolean }) {
  return (
    <div class={`shell view-${route.value.view}`} inert={out}>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Banners />
      <RoomBar />
      <Sidebar />
      <Main />
      <KeysDialog />
      <StepUp />
      <SignOut />
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
  const room = ROOMS.find(({ view }) => view === at.view);
  if (room && room.view !== "home" && room.view !== "agents") return <>{room.page()}</>;
  if (at.view === "new" || (room && list.length === 0)) {
    return (
      <main class="page">
        <AgentForm key={at.view === "new" ? at.name : ""} first={list.length === 0} {...(at.view === "new" && at.name ? { name: at.name } : {})} />
      </main>
    );
  }
  if (room) return <>{room.page()}</>;
  return (
    <main class="center">
      <p class="quiet">There is no such page.</p>
      <p>
        <a href="#/">Home</a>
      </p>
    </main>
  );
}

/** The address stays: its fragment is the route. */
function skip(event: Event): void {
  event.preventDefault();
  const main = document.querySelector<HTMLElement>("main");
  if (!main) return;
  main.tabIndex = -1;
  main.focus();
}
