/** What the page knows, as signals, and the actions that change it. Components read and call; they keep no copies. */
import { batch, computed, signal } from "@preact/signals";
import { comeBy, way } from "./access";
import { holderOf } from "./agent/standing";
import { type Agent, type AgentEdit, api, ApiError, type Health, type Orphan } from "./api";
import { connectionsApi, type Grants } from "./connections";
import type { SessionInfo } from "./conversation-api";
import { hashOf, parseRoute, type Route, signInCode } from "./route";
import { hub, isHubRefusal, lookForHub } from "./hub";

export const session = signal<"unknown" | "in" | "out">("unknown");
/** Somebody was signed in and did not leave: what they were at is kept behind the sign-in. */
export const expired = signal(false);
/** Somebody has left on purpose: the hub, where they are signed in still, is not to let them in again by itself. */
let left = false;
/** What the daemon says of the one who is in, and of what it takes from them. */
export const sessionInfo = signal<SessionInfo | undefined>(undefined);
/** Why the last sign-in failed. */
export const signInError = signal<ApiError | undefined>(undefined);
/** A code that could not be handed in yet. */
export const unusedCode = signal("");
export const health = signal<Health | undefined>(undefined);
/** `undefined` until first loaded. */
export const agents = signal<readonly Agent[] | undefined>(undefined);
export const orphans = signal<readonly Orphan[]>([]);
/** Why the list could not be refreshed; the list last seen stays. */
export const listError = signal<ApiError | undefined>(undefined);
export const route = signal<Route>({ view: "home" });
/** What agents and roles want to reach; `undefined` until first loaded. */
export const grants = signal<Grants | undefined>(undefined);
export const grantsError = signal<ApiError | undefined>(undefined);
/** Ticks each second while the page is visible, for elapsed times. */
export const now = signal(Date.now());
/** The same, to the minute: for what need not be redrawn each second. */
export const minute = computed(() => Math.floor(now.value / 60_000) * 60_000);

export const selected = computed(() => {
  const at = route.value;
  return at.view === "agent" ? at.name : undefined;
});
export const selectedAgent = computed(() => holderOf(agents.value, selected.value));

/** How the daemon and its vaults stand is told by no event. */
const HEALTH_EVERY_MS = 4_000;
/** Events tell what changes; the rest is asked for now and then, in case one was missed. */
const CALM = 8;

/** Turns any thrown value into an error that can be shown; a 401 also shows the sign-in page. */
export function failure(error: unknown): ApiError {
  if (!(error instanceof ApiError)) return new ApiError(0, "page", String(error), "Reload the page.");
  if (error.status === 401 || isHubRefusal(error)) {
    batch(() => {
      expired.value ||= session.peek() === "in";
      session.value = "out";
      if (isHubRefusal(error)) signInError.value = error;
    });
  }
  return error;
}

export function go(to: Route): void {
  location.hash = hashOf(to);
}

/** Reads the URL. A sign-in code in it is used up and taken out of the address bar and the history at once. */
async function followHash(): Promise<void> {
  const code = location.hash.startsWith("#sign-in=") ? signInCode(location.hash) : undefined;
  if (code === undefined) {
    route.value = parseRoute(location.hash);
    return;
  }
  // Whoever was somewhere goes on there.
  const place = route.peek().view === "home" ? "" : hashOf(route.peek());
  history.replaceState(null, "", location.pathname + location.search + place);
  await signIn(code);
}

/** By a code, which is used up, and a cookie from then on. */
export async function signIn(code: string): Promise<void> {
  comeBy({ kind: "cookie" });
  try {
    await api.signIn(code);
    await checkSession();
    await enter();
  } catch (error) {
    const shown = failure(error);
    // A link that was used twice is no reason to leave a session that holds.
    if (shown.status === 401 && (await checkSession())) {
      await enter();
      return;
    }
    batch(() => {
      session.value = "out";
      signInError.value = shown;
      // Nobody answered, so the code is not used up.
      unusedCode.value = shown.status === 0 ? code : "";
    });
  }
}

/** By a token, which this tab alone holds, and only until it is reloaded. */
export async function signInByToken(token: string): Promise<void> {
  comeBy({ kind: "token", token });
  try {
    sessionInfo.value = await api.session();
    await enter();
  } catch (error) {
    const shown = failure(error);
    comeBy({ kind: "cookie" });
    batch(() => {
      session.value = "out";
      signInError.value = shown.status === 401 ? new ApiError(401, shown.code, "The daemon does not know this token.", "It may have ended or been taken away. `reveille token` lists and makes them.") : shown;
    });
  }
}

/** With what the hub gives those who are signed in there. Without a word when there is no hub, or nobody is signed in there. */
export async function signInByHub(): Promise<boolean> {
  try {
    if (!(await lookForHub())) return false;
    sessionInfo.value = await api.session();
    await enter();
    return true;
  } catch (error) {
    const shown = failure(error);
    comeBy({ kind: "cookie" });
    batch(() => {
      session.value = "out";
      signInError.value = shown;
    });
    return false;
  }
}

async function enter(): Promise<void> {
  left = false;
  batch(() => {
    session.value = "in";
    expired.value = false;
    signInError.value = undefined;
    unusedCode.value = "";
  });
  await refreshAll();
}

/** Asks whether the session holds. When nobody answers, it is taken to hold, and the list says what is wrong. */
export async function checkSession(): Promise<boolean> {
  try {
    sessionInfo.value = await api.session();
    return true;
  } catch (error) {
    return failure(error).status !== 401;
  }
}

/** Somebody may have signed in meanwhile: in another tab, or at the hub. */
async function lookForSession(): Promise<void> {
  if (way.peek().kind === "cookie" && (await held())) return enter();
  if (hub.peek() && !left) await signInByHub();
}

/** Whether the cookie of this browser lets in. */
async function held(): Promise<boolean> {
  try {
    sessionInfo.value = await api.session();
    return true;
  } catch {
    // Still out, or nobody answers: as it was.
    return false;
  }
}

/** Signs this browser out, or all of them. A token is forgotten; what it may do elsewhere is not changed. */
export async function signOut(everywhere: boolean): Promise<void> {
  if (everywhere || way.peek().kind === "cookie") await api.signOut(everywhere);
  leave();
}

/** Nothing of what was seen stays on the page. */
function leave(): void {
  left = true;
  comeBy({ kind: "cookie" });
  batch(() => {
    session.value = "out";
    expired.value = false;
    agents.value = undefined;
    grants.value = undefined;
    orphans.value = [];
    health.value = undefined;
    sessionInfo.value = undefined;
    signInError.value = undefined;
    route.value = { view: "home" };
  });
  history.replaceState(null, "", location.pathname + location.search);
}

let refreshing: Promise<void> | undefined;
let once: Promise<void> | undefined;
/** How many lists have come. */
let lists = 0;

/** Reloads the list; calls during a reload share one more, which begins after it: what they have changed is in that one. */
export function refreshAgents(): Promise<void> {
  if (!refreshing) {
    refreshing = loadAgents().finally(() => (refreshing = undefined));
    return refreshing;
  }
  once ??= refreshing.then(() => {
    once = undefined;
    return refreshAgents();
  });
  return once;
}

async function loadAgents(): Promise<void> {
  try {
    const list = await api.agents();
    batch(() => {
      lists++;
      agents.value = list.agents;
      orphans.value = list.waiting;
      listError.value = undefined;
    });
  } catch (error) {
    listError.value = failure(error);
  }
}

/** Each look has a number, so that a slow older answer does not replace a newer one. */
let healthLooks = 0;
let newestHealth = 0;

/** What is known stays when nobody answers: that is told with the list, which is asked for at the same time. */
export async function refreshHealth(): Promise<void> {
  const own = ++healthLooks;
  try {
    const answer = await api.health();
    if (own < newestHealth) return;
    newestHealth = own;
    health.value = answer;
  } catch (error) {
    failure(error);
  }
}

let asked = 0;

/** What was last seen stays when this fails. */
export async function refreshGrants(): Promise<void> {
  const own = ++asked;
  try {
    const answer = await connectionsApi.list();
    // An answer that was overtaken may be older than what a decision has changed.
    if (own !== asked) return;
    batch(() => {
      grants.value = answer;
      grantsError.value = undefined;
    });
  } catch (error) {
    const shown = failure(error);
    if (own === asked) grantsError.value = shown;
  }
}

/** The list, what is wanted, and how the daemon and its vaults stand. */
export async function refreshAll(): Promise<void> {
  await Promise.all([refreshAgents(), refreshHealth(), refreshGrants()]);
}

/** Above so many at once, the whole list is one request instead of many. */
const FEW = 4;
const SOON_MS = 80;
let changed = new Set<string>();
let whole = false;
let grantsToo = false;
let soon: ReturnType<typeof setTimeout> | undefined;

/** An event said that an agent is not as it was. What comes together is asked for together. */
export function agentChanged(name: string, also: { grants?: boolean; list?: boolean } = {}): void {
  changed.add(name);
  whole ||= also.list ?? false;
  grantsToo ||= also.grants ?? false;
  soon ??= setTimeout(() => void lookAtChanged(), SOON_MS);
}

async function lookAtChanged(): Promise<void> {
  const names = [...changed];
  // Names that the list does not know, or twice, are sorted out by the daemon.
  const simple = names.length <= FEW && names.every((name) => agents.value?.filter((agent) => agent.name === name).length === 1);
  const list = whole || !simple;
  const grantsNow = grantsToo;
  changed = new Set();
  whole = grantsToo = false;
  await Promise.all([list ? refreshAgents() : Promise.all(names.map(refreshAgent)), ...(grantsNow ? [refreshGrants()] : [])]);
  soon = undefined;
  if (changed.size > 0) soon = setTimeout(() => void lookAtChanged(), SOON_MS);
}

async function refreshAgent(name: string): Promise<void> {
  const before = lists;
  try {
    const { prompt: _, settings: __, path: ___, ...agent } = await api.agent(name);
    // Of a list that was asked for at the same time nobody knows which of the two is newer.
    if (refreshing || lists !== before) await refreshAgents();
    else agents.value = replaced(agents.value, agent);
  } catch {
    // The list says why.
    await refreshAgents();
  }
}

function replaced(list: readonly Agent[] | undefined, agent: Agent): readonly Agent[] | undefined {
  return list?.map((other) => (other.name === agent.name ? agent : other));
}

/** Creates an agent and opens its conversation. */
export async function createAgent(name: string, prompt: string, metadata: Readonly<Record<string, unknown>>, vault?: string): Promise<void> {
  const agent = await api.createAgent({ name, prompt, metadata, ...(vault ? { vault } : {}) });
  await refreshAgents();
  go({ view: "agent", name: agent.name });
}

/** Changes a definition; an agent that gets another name is followed there. */
export async function editAgent(name: string, edit: AgentEdit): Promise<void> {
  const { name: called } = await api.editAgent(name, edit);
  await refreshAgents();
  if (called !== name) go({ view: "agent", name: called, tab: "definition" });
}

/** Starts the page: session, routes, the clock and the polling while visible. */
export async function start(): Promise<void> {
  addEventListener("hashchange", () => void followHash());
  const look = (all: boolean): void => {
    if (document.hidden) return;
    if (session.value === "in") void (all ? refreshAll() : refreshHealth());
    else if (all && session.value === "out") void lookForSession();
  };
  document.addEventListener("visibilitychange", () => look(true));
  addEventListener("focus", () => look(true));
  setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, 1_000);
  let ticks = 0;
  setInterval(() => look(++ticks % CALM === 0), HEALTH_EVERY_MS);
  await followHash();
  if (session.value !== "unknown") return;
  // Asked for together: who is signed in, as is usual, sees the list one round trip sooner.
  void refreshAgents();
  if (await checkSession()) session.value = "in";
  else await signInByHub();
}
