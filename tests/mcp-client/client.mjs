// The official client of MCP, driven by lines of JSON on stdin. Each command {id, do, ...} is answered by {id, told} or
// {id, failed}; what the server says unasked comes as {heard}.
//
//   {do: "connect", http: URL, token}  or  {do: "connect", stdio: PROGRAM, args, env}; both with capabilities, if it says any
//   {do: "tools"}   {do: "call", name, arguments, progress}   {do: "cancel", name, arguments}
//   {do: "notify", method, params}   {do: "session"}   {do: "end"}   {do: "close"}
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const home = join(process.env.REVEILLE_TEST_MCP_CLIENT, "node_modules/@modelcontextprotocol/sdk/dist/esm");
const load = (file) => import(pathToFileURL(join(home, file)).href);
const { Client } = await load("client/index.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");
const { StdioClientTransport } = await load("client/stdio.js");

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

let client;
let transport;

const commands = {
  async connect({ http, token, stdio, args, env, capabilities }) {
    if (http) {
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      transport = new StreamableHTTPClientTransport(new URL(http), { requestInit: { headers } });
    } else {
      transport = new StdioClientTransport({ command: stdio, args, env, stderr: "inherit" });
    }
    client = new Client({ name: "reveille-tests", version: "1" }, { capabilities: capabilities ?? {} });
    client.fallbackNotificationHandler = async (heard) => say({ heard });
    client.onerror = (error) => say({ trouble: String(error.message) });
    await client.connect(transport);
    return {
      server: client.getServerVersion(),
      capabilities: client.getServerCapabilities(),
      instructions: client.getInstructions(),
      protocol: transport.protocolVersion,
    };
  },
  async tools() {
    return (await client.listTools()).tools;
  },
  async call({ name, arguments: given, progress }) {
    const options = progress ? { onprogress: (told) => say({ heard: { progress: told } }) } : {};
    return client.callTool({ name, arguments: given ?? {} }, undefined, options);
  },
  // Sends a call and takes it back as soon as its first progress is heard.
  async cancel({ name, arguments: given }) {
    const ends = new AbortController();
    const call = client.callTool({ name, arguments: given ?? {} }, undefined, {
      signal: ends.signal,
      onprogress: () => ends.abort("no longer wanted"),
    });
    return call.then(
      () => "answered",
      (error) => String(error.message ?? error),
    );
  },
  async notify({ method, params }) {
    await client.notification({ method, params });
    return null;
  },
  async session() {
    return transport.sessionId ?? null;
  },
  async end() {
    await transport.terminateSession();
    return null;
  },
  async close() {
    await client.close();
    return null;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  // Not one after the other: a call that waits must not hold up the next command.
  commands[command.do](command).then(
    (told) => say({ id: command.id, told: told ?? null }),
    (error) => say({ id: command.id, failed: { message: String(error.message), code: error.code ?? null, data: error.data ?? null } }),
  );
}
await client?.close();
