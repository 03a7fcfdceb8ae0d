/** Made by `npm run types` from the daemon's OpenAPI document. */
export interface paths {
    "/.parachute/config": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How this module is set up: its channels, and a template for the triggers of vaults. For admins, since it has names. */
        get: operations["getModuleConfig"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/.parachute/config/schema": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The form of what the module tells of its configuration, as a JSON Schema. */
        get: operations["getModuleConfigSchema"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/.parachute/icon.svg": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The picture of this module. */
        get: operations["getModuleIcon"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/.parachute/info": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What this module of a hub is. For everybody, so without names. */
        get: operations["getModule"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agent-defs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The definitions that count. */
        get: operations["listAgentDefs"];
        put?: never;
        /** Makes an agent: writes its definition. Checked before anything is written. */
        post: operations["createAgentDef"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agent-defs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A definition with its role. */
        get: operations["getAgentDef"];
        put?: never;
        post?: never;
        /** Removes a definition: the note first, and only then the agent. */
        delete: operations["removeAgentDef"];
        options?: never;
        head?: never;
        /** Changes a definition. Checked before anything is written. */
        patch: operations["editAgentDef"];
        trace?: never;
    };
    "/api/agent-vaults": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The vaults that agents can live in, without what lets us in. */
        get: operations["listAgentVaults"];
        put?: never;
        /** Adds a vault while the daemon runs. */
        post: operations["addAgentVault"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agent-vaults/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Removes a vault that was added. Turns that run there end by themselves. */
        delete: operations["removeAgentVault"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The agents, and what waits for agents that are not there. */
        get: operations["listAgents"];
        put?: never;
        /** Makes an agent: writes its definition. Checked before anything is written. */
        post: operations["createAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** An agent with its role and every setting that counts. */
        get: operations["getAgent"];
        put?: never;
        post?: never;
        /** Removes an agent: its definition note. What is in line waits for an agent of that name. */
        delete: operations["removeAgent"];
        options?: never;
        head?: never;
        /** Another role, other settings; a null takes a setting away. Checked before anything is written. */
        patch: operations["editAgent"];
        trace?: never;
    };
    "/api/agents/{name}/env": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the turns of an agent have in their environment besides what the daemon tells every one of them. Names only. */
        get: operations["getAgentEnv"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{name}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Pauses an agent: messages are taken and wait; a turn that runs goes on to its end. Written on the definition, so that it
         *     holds over a restart and can be seen and taken back there.
         */
        post: operations["pauseAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{name}/reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The next turn of each of an agent's conversations, or of one, begins a new session. */
        post: operations["resetAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{name}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ends every pause of an agent, also one that the daemon made. */
        post: operations["resumeAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{name}/sandbox": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What an agent may reach, who says so, and what its last turns have tried to reach. */
        get: operations["getAgentSandbox"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{name}/sandbox/policy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What a turn of an agent may reach, with everything that is hidden.
         * @description For `reveille sandbox run --agent`, which confines a command like it: it is of use on the daemon's own machine. There is no
         *     secret in it.
         */
        get: operations["getAgentSandboxPolicy"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{name}/trust": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Lets an agent have what was given to its name for another note: secrets, grants, and its table in the configuration. */
        post: operations["trustAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/validate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What a definition would amount to: the checks of a real one, and every setting. Nothing is written. */
        post: operations["validateAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/bridges": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The bridges, and how they do. */
        get: operations["listBridges"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/bridges/{bridge}/redrive": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sends again what a bridge has given up, and tries at once what waits for its next try. */
        post: operations["redriveMessages"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/bridges/{bridge}/undelivered": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a bridge has given up, or what waits in its outbox. */
        get: operations["listUndeliveredMessages"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The channels that are served: one of each agent and of each bridge. Nothing that is secret. */
        get: operations["listChannels"];
        put?: never;
        /**
         * Adds a bridge, or puts it in the place of the one of its name.
         * @description It is written to `channels.json` and runs at once. No answer shows its `config`.
         */
        post: operations["addBridge"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Removes a bridge that was added.
         * @description It is taken out of `channels.json` and ends at once. What it has not sent is kept, unless it is to be thrown away.
         */
        delete: operations["removeBridge"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/messages": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The messages to an agent and its answers, oldest first: the newest ones. */
        get: operations["listMessages"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/next": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Takes the first message that waits for an attached agent. Who has taken it answers it, gives it back, or asks for more
         *     time, before the claim ends.
         */
        post: operations["takeMessage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/pending": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What waits for an attached agent, and the first 20 messages of it. */
        get: operations["listPendingMessages"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/queue": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The open turns of an agent in order. */
        get: operations["getQueue"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Gives a message back: it waits again, at its place. */
        post: operations["releaseMessage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/renew": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Holds a claim for another while, for a long piece of work. */
        post: operations["renewClaim"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/reply": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Answers a message that this caller has taken. The same answer again is answered the same. */
        post: operations["replyToMessage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/send": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sends a message to an agent. It is durable when this is answered. */
        post: operations["sendMessage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/threads": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The conversations of an agent, oldest first. */
        get: operations["listThreads"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/channels/{channel}/turn-events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Live events of the turns of one agent.
         * @description Those of the turns that run, then all new ones, or what came after `Last-Event-ID`.
         */
        get: operations["watchChannel"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/connections": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What agents and roles want, and what became of it. No answer holds a secret. */
        get: operations["listConnections"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/connections/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Approves a connection. */
        post: operations["approveConnection"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/connections/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Takes an approval back. */
        post: operations["revokeConnection"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/credentials/claude": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether there is a credential of Claude Code for all agents, and which of them have their own. None is shown. */
        get: operations["getClaudeCredentials"];
        put?: never;
        /** Sets the credential of Claude Code for all agents that have none of their own. It counts from the next turn on. */
        post: operations["setClaudeCredential"];
        /** Removes the credential of Claude Code for all agents. Those that have their own keep it. */
        delete: operations["removeClaudeCredential"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/credentials/claude/{channel}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sets the credential of Claude Code for one agent. It counts from its next turn on. */
        post: operations["setClaudeCredentialOfAgent"];
        /** Removes the credential of one agent, which has the one of all then. */
        delete: operations["removeClaudeCredentialOfAgent"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/credentials/env": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The names of the variables that are stored for turns. No value is shown. */
        get: operations["getEnvSecrets"];
        put?: never;
        /** Stores a variable for the turns of all agents, or of one. It counts from the next turn on. */
        post: operations["setEnvSecret"];
        /** Removes a variable, named in the body or in the query. */
        delete: operations["removeEnvSecret"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same for people. */
        get: operations["getReference"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/doctor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whether everything that the daemon needs is there.
         * @description The checks take some seconds; who asks while they run gets what they find. There is no secret in it.
         */
        get: operations["getDoctor"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/download": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Fetches a file that somebody sent to a channel. */
        post: operations["downloadFromChannel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/edit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Changes a message that was sent to a channel. */
        post: operations["editOnChannel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Live events of all agents, or of some: their turns, and what becomes of themselves. */
        get: operations["watchAll"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the clock sends, of one agent or of all. */
        get: operations["listJobs"];
        put?: never;
        /** Makes a job, or changes the one that the agent has under that id. What is left out stays as it was there. */
        post: operations["putJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A job. */
        get: operations["getJob"];
        put?: never;
        post?: never;
        /** Removes a job: its note. */
        delete: operations["removeJob"];
        options?: never;
        head?: never;
        /** Changes a job. Checked before it is written. */
        patch: operations["editJob"];
        trace?: never;
    };
    "/api/jobs/{id}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Pauses a job: from now on no occurrence runs. */
        post: operations["pauseJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Lets a job run again: the next occurrence runs; those of the pause are written down as skipped. */
        post: operations["resumeJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/{id}/run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sends the message of a job now, whatever the schedule says and also when it is paused. It is durable when this is answered. */
        post: operations["runJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/{id}/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What became of the occurrences of a job, the newest first. So many are kept that this is one page. */
        get: operations["listJobRuns"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/validate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What a job would amount to, and when it would be due. Nothing is written. */
        post: operations["validateJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The description of this interface, as OpenAPI 3.1. */
        get: operations["getOpenApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/permission": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Asks the people of a channel whether a tool may be used.
         * @description The answer comes by `permission_verdict` at `/events`.
         */
        post: operations["askOnChannel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/react": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Puts a reaction on a message of a channel. */
        post: operations["reactOnChannel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/reply": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sends a message to the people of a channel. */
        post: operations["replyOnChannel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Says that the caller is let in, and by what. */
        get: operations["getSession"];
        put?: never;
        /** Signs a browser in by the code of a link, which is used up by it. */
        post: operations["signIn"];
        /** Signs a browser out: its cookie does not work any more, wherever a copy of it may be. */
        delete: operations["signOut"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/sign-in-links": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Makes a link that signs a browser in once. For the operator alone: who signs in by it may do everything, for longer than
         *     most tokens live, and no token makes one that reaches further than itself.
         */
        post: operations["createSignInLink"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/statistics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the turns of the last days took, day by day. */
        get: operations["getStatistics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/step-up": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether there is a PIN. */
        get: operations["getStepUp"];
        put?: never;
        /** Answers a token for dangerous things to who shows the PIN: for five minutes, and for nobody else. */
        post: operations["stepUp"];
        /** Ends the step-up tokens of who asks. */
        delete: operations["lockStepUp"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/step-up/pin": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sets the PIN: the first one with the token of the state directory, another one by who shows the one that there is. */
        post: operations["setPin"];
        /** Forgets the PIN, with the token of the state directory. */
        delete: operations["clearPin"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/threads": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The conversations of all agents, that of which something happened last first. */
        get: operations["findThreads"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/threads/{thread}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Names a conversation, or puts it away. What comes into it goes on as before. */
        patch: operations["editThread"];
        trace?: never;
    };
    "/api/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The tokens that reach no further than who asks. */
        get: operations["listTokens"];
        put?: never;
        /** Makes a token. One that is made with another one reaches no further, ends no later, and is revoked with it. */
        post: operations["createToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tokens/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Takes a token away, with those that were made with it. */
        delete: operations["revokeToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/turns": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Turns of an agent, of a chain of hand-overs or of a conversation: one of the three is to be named.
         * @description Of an agent the open ones in their order, then the ended ones, newest first; of a chain in the order in which their messages
         *     came; of a conversation the newest first.
         */
        get: operations["listTurns"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/turns/{turn}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A turn with its answer and what it took. */
        get: operations["getTurn"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Another text for a waiting message. Its note gets it first: the note is what people see. */
        patch: operations["editTurn"];
        trace?: never;
    };
    "/api/turns/{turn}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Ends a waiting message; its requester is told. */
        post: operations["cancelTurn"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/turns/{turn}/hold": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Holds a waiting message back: the ones behind it pass. */
        post: operations["holdTurn"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/turns/{turn}/move": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Moves a waiting message to another place in its conversation. */
        post: operations["moveTurn"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/turns/{turn}/release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Lets a message that was held back take its turn again. */
        post: operations["releaseTurn"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/turns/{turn}/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sends the message of a turn that has ended once more: a new message that says the same, or something better, to the same
         *     agent in the same conversation; its requester is told of the new one as well.
         */
        post: operations["resendTurn"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/turns/{turn}/steps": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a turn did: while it runs so far, afterwards as it is kept. */
        get: operations["listSteps"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/turns/{turn}/steps/{step}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A tool call of a turn, whole up to 1 MiB of its input and of its answer. */
        get: operations["getStep"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/turns/{turn}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stops a turn that runs. What it has done so far stays done. */
        post: operations["stopTurn"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/ui/sse-ticket": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes a ticket for clients that can set no header on a stream: it opens one stream, once, within a minute. */
        post: operations["createTicket"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/undelivered": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What turns have left to do and the vaults have not taken. */
        get: operations["listUndelivered"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/undelivered/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tries at once what the vaults have not taken. */
        post: operations["retryUndelivered"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/vault/agent-def": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says that a definition was written. */
        post: operations["hintAgentDef"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/vault/agent-thread": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says that a thread was written. */
        post: operations["hintAgentThread"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/vault/inbound": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * The server of a vault says that something was written there. Looks where the hint points, and answers once the queue has
         *     what there is.
         */
        post: operations["hintInbound"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/vault/role": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says that a role was written. */
        post: operations["hintRole"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/vaults/{name}/backup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Copies a vault on the machine of the daemon, as its user, while it is in use. */
        post: operations["backUpVault"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is told what happens, and how each does. */
        get: operations["listWebhooks"];
        put?: never;
        /** Makes a webhook, which is told of everything from now on. */
        post: operations["createWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One webhook. */
        get: operations["getWebhook"];
        put?: never;
        post?: never;
        /** Removes a webhook, with what it has to tell. */
        delete: operations["removeWebhook"];
        options?: never;
        head?: never;
        /** Changes a webhook. What waits for it is told as it is then. A receiver that had refused is tried again at another address. */
        patch: operations["editWebhook"];
        trace?: never;
    };
    "/api/webhooks/{name}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Lets what a webhook has to tell wait: 30 days, at most 100 000 events. */
        post: operations["pauseWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/{name}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sends again, after a pause or to a receiver that had refused. */
        post: operations["resumeWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/{name}/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Puts another secret in place of the present one. With Standard Webhooks the old one signs along until it is ended. */
        post: operations["rotateWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/webhooks/{name}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Calls the receiver now, past everything that waits, and answers what it said. Nothing else depends on it: one that is paused or
         *     has refused stays so.
         */
        post: operations["testWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/auth/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How a client gets in. For everybody; strangers are told no names. */
        get: operations["getAuthStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The messages of a channel that no agent takes, for a session that does, and the decisions of people about its tools.
         * @description `message` has `content`, `meta` and `source`; `permission_verdict` has `request_id` and `behavior`.
         */
        get: operations["listenToChannel"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How the daemon is. For everybody, but strangers are told only whether all is well. */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/hooks/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Wakes the agent of a hook. The same call again is the same message. */
        post: operations["callHook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Figures of the daemon, in the text format of Prometheus or as OpenMetrics. */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the daemon takes up work. For everybody; reasons are for those who may read. */
        get: operations["getReady"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ui/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What is said on a channel for pages.
         * @description These are those of the kind `http-ui`. Told are `reply`, `edit`, `permission`, and `close` at its end.
         */
        get: operations["listenAsPage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A vault as a whole. */
        get: operations["getVault"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/find-path": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The shortest way of links between two notes; null when there is none. */
        get: operations["findNotePath"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Says that a vault can be read. */
        get: operations["getVaultHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/notes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists notes, or shows one by its id. */
        get: operations["listNotes"];
        put?: never;
        /** Makes a note, or several that are written as a whole or not at all. */
        post: operations["createNotes"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/notes/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A note. */
        get: operations["getNote"];
        put?: never;
        post?: never;
        /** Removes a note. */
        delete: operations["deleteNote"];
        options?: never;
        head?: never;
        /** Changes a note, or makes it where it is missing. */
        patch: operations["patchNote"];
        trace?: never;
    };
    "/vault/{name}/api/notes/{key}/attachments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The files of a note. */
        get: operations["listAttachments"];
        put?: never;
        /** Adds a file to a note. */
        post: operations["attachFile"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/notes/{key}/attachments/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Takes a file from a note. */
        delete: operations["detachFile"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/storage/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The bytes of a file. */
        get: operations["downloadFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/storage/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stores a file. It is written to the disk as it arrives. */
        post: operations["uploadFile"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/tags": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists tags, or shows one. */
        get: operations["listTags"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/tags/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A tag. One that nobody knows is one that no note carries. */
        get: operations["getTag"];
        /** Says what a tag means. */
        put: operations["putTag"];
        post?: never;
        /** Takes a tag from all notes. */
        delete: operations["deleteTag"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/tags/{key}/rename": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Renames a tag on all notes. */
        post: operations["renameTag"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/tags/merge": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Makes one tag of several, on all notes. */
        post: operations["mergeTags"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/triggers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists triggers. */
        get: operations["listTriggers"];
        put?: never;
        /** Makes a trigger, or changes the one of that name. The answer has the signing secret when it is new. */
        post: operations["putTrigger"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/triggers/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A trigger. */
        get: operations["getTrigger"];
        put?: never;
        post?: never;
        /** Removes a trigger: what it has left to deliver goes with it. */
        delete: operations["removeTrigger"];
        options?: never;
        head?: never;
        /** Lets a trigger run or pause. Everything else is changed by putting it. */
        patch: operations["enableTrigger"];
        trace?: never;
    };
    "/vault/{name}/api/triggers/{key}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a trigger has told and has left to tell. */
        get: operations["listDeliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/triggers/{key}/redrive": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tells again what a trigger has given up or is waiting to tell. */
        post: operations["redriveTrigger"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/unresolved-wikilinks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Links to notes that are not there. */
        get: operations["listUnresolvedLinks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/api/vault": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Settings of a vault. */
        get: operations["getVaultSettings"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /** Changes the settings of a vault. */
        patch: operations["patchVaultSettings"];
        trace?: never;
    };
    "/vault/{name}/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists the tokens of a vault, for its admins. */
        get: operations["listVaultTokens"];
        put?: never;
        /** Makes a token of a vault. */
        post: operations["createVaultToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vault/{name}/tokens/{key}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revokes a token of a vault. It is gone whether or not it was there. */
        delete: operations["revokeVaultToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vaults": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The vaults that the caller may look into. */
        get: operations["listVaults"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/vaults/list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The names of the vaults that the caller may look into. */
        get: operations["listVaultNames"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description A vault as a whole. */
        AboutVault: {
            createdAt: string;
            description?: string | null;
            /**
             * Format: int64
             * @description Most bytes of a file.
             */
            maxAttachment: number;
            name: string;
            stats?: components["schemas"]["VaultStats"] | null;
        };
        /** @description An agent. */
        Agent: {
            /** @description Who runs its turns: `programmatic`, the daemon; `attached`, a session that takes its messages. */
            backend?: string | null;
            /** @description What sessions have taken of an attached agent. */
            claimed?: components["schemas"]["ClaimedTurn"][];
            /** @description What it wants beyond its own tools. Turns are not told. */
            connections?: components["schemas"]["Connection"][] | null;
            /**
             * Format: double
             * @description The same since midnight (UTC).
             */
            cost_today_usd: number;
            /**
             * Format: double
             * @description What its turns have cost.
             */
            cost_usd: number;
            /** @description The agent that wrote its definition. */
            defined_by?: string | null;
            /** @description Its turns may write definitions of agents. */
            defines_agents?: boolean;
            last_turn?: components["schemas"]["LastTurn"] | null;
            /** @description What its definition asks for and does not get. */
            lowered?: components["schemas"]["LoweredSetting"][];
            /** @description `single-threaded` or `multi-threaded`. */
            mode?: string | null;
            model?: string | null;
            name: string;
            /** @description The note that defines it. */
            note_id: string;
            pause?: components["schemas"]["Pause"] | null;
            /** @description What keeps the note from counting as it is. */
            problems: components["schemas"]["Problem"][];
            /** @description The beginning of its role. */
            prompt_preview: string;
            running?: components["schemas"]["RunningTurn"] | null;
            status: components["schemas"]["AgentStatus"];
            /** @description More on the status, for a person. */
            status_detail?: string | null;
            /**
             * Format: int64
             * @description Settled turns.
             */
            turns?: number | null;
            /** @description Where its notes are. */
            vault: string;
            /**
             * Format: int64
             * @description Messages in line.
             */
            waiting: number;
            /** @description What looks wrong with a note that counts. */
            warnings: components["schemas"]["Problem"][];
            /** @description What was given to its name for another note, and what it does not get before it is trusted. */
            withheld?: string[];
        };
        /** @description A definition that counts. */
        AgentDef: {
            /** @description `programmatic` or `attached`. */
            backend?: string | null;
            /** @description The same. */
            channel: string;
            connections: components["schemas"]["Connection"][];
            /** @description `single-threaded` or `multi-threaded`. */
            mode?: string | null;
            model?: string | null;
            name: string;
            noteId: string;
            /** @description Keys of what the agent wants and has not got. */
            pending: string[];
            /** @description What keeps the note from counting as it is. */
            problems: components["schemas"]["Problem"][];
            /** @description `def`, or `thread` for a thread that names an agent. */
            source: string;
            /** @description `enabled`, `pending` or `error`. */
            status: string;
            /** @description Empty, or what is wrong and what to do. */
            status_detail: string;
            /** @description Its role; a list does not have it. */
            systemPrompt?: string | null;
            /** @description The beginning of its role. */
            systemPromptPreview?: string | null;
            vault: string;
            /** @description What it wants, as it is written in a note. */
            wants?: string[] | null;
            /** @description What looks wrong with a note that counts. */
            warnings: components["schemas"]["Problem"][];
        };
        /** @description A definition with its role. */
        AgentDefAnswer: {
            def: components["schemas"]["AgentDef"];
            ok: boolean;
        };
        /** @description A change of a definition. */
        AgentDefEdit: {
            /** @description Other settings; a null takes one away. */
            metadata?: {
                [key: string]: unknown;
            };
            /** @description Its role. */
            systemPrompt?: string | null;
            /** @description What it wants, as it is written in a note. */
            wants?: string | null;
        };
        /** @description Definitions. */
        AgentDefList: {
            defs: components["schemas"]["AgentDef"][];
        };
        /** @description What became of a definition that was to be removed. */
        AgentDefRemoved: {
            /** @description What the agent was given is dropped; otherwise that is done later. */
            grantsReconciled: boolean;
            name: string;
            ok: boolean;
            removed: boolean;
            vault: string;
        };
        /** @description An agent with its whole definition. */
        AgentDetail: components["schemas"]["Agent"] & {
            /** @description Where its note is. */
            path?: string | null;
            /** @description Its role. */
            prompt?: string | null;
            /** @description Every setting that counts for the next turn, by its key. */
            settings: {
                [key: string]: components["schemas"]["AgentSetting"];
            };
        };
        /**
         * @description A definition that may be written.
         * @example {
         *       "content": "You write minutes.",
         *       "metadata": {
         *         "mode": "multi-threaded"
         *       },
         *       "name": "scribe",
         *       "vault": "default"
         *     }
         */
        AgentDraft: {
            /** @description Its role; of a note that is there it stays as it is, when absent. */
            content?: string | null;
            /** @description Other settings; a null takes one away. */
            metadata?: {
                [key: string]: unknown;
            };
            name: string;
            /** @description The note that would be changed; a new one, when absent. */
            note_id?: string | null;
            /** @description Where its note is, or would be. */
            vault: string;
        };
        /** @description A change of an agent's definition. */
        AgentEdit: {
            /**
             * Format: date-time
             * @description The state of the note that the change was made for; without it the change is laid over whatever is there.
             */
            if_updated_at?: string | null;
            /** @description Other settings; a null takes one away. */
            metadata?: {
                [key: string]: unknown;
            };
            /** @description Its role. */
            prompt?: string | null;
        };
        /** @description All agents. */
        AgentList: {
            agents: components["schemas"]["Agent"][];
            /** @description What waits for agents that nobody has defined. */
            waiting: components["schemas"]["WaitingMessages"][];
        };
        /** @description What became of an agent that was to be removed. */
        AgentRemoved: {
            removed: boolean;
            /**
             * Format: int64
             * @description Messages in line, which wait for an agent of that name.
             */
            waiting: number;
        };
        /** @description What was begun anew. */
        AgentReset: {
            /**
             * Format: int64
             * @description Conversations that had a session.
             */
            conversations: number;
            reset: boolean;
            /** @description What people may still see of the old ones. */
            warning?: string | null;
        };
        /** @description What an agent may reach. */
        AgentSandbox: {
            /** @description Whether turns are kept from anything at all. */
            confined: boolean;
            /** @description Hosts that they may reach besides the model's API, when the network is not open. */
            egress: string[];
            /** @description What they read. */
            filesystem: components["schemas"]["SandboxSetting"];
            /** @description What one turn may take of the machine. */
            limits: components["schemas"]["SandboxLimits"];
            /** @description What the definition asks for and does not get. */
            lowered: components["schemas"]["LoweredSetting"][];
            /** @description Name of the confinement: `none` confines nothing, and then nothing below holds. */
            mode: string;
            mounts: components["schemas"]["SandboxMount"][];
            /** @description What they reach. */
            network: components["schemas"]["SandboxSetting"];
            /** @description What all turns can read besides the system. */
            read: string[];
            shield: components["schemas"]["SandboxShield"];
            /**
             * @description The last turns of this run of the daemon, the latest first. With an open network nothing is counted but
             *     the requests that the daemon adds a credential to.
             */
            turns: components["schemas"]["SandboxTurn"][];
            /** @description Where they work, with all links followed; null: in a directory of each conversation. */
            workspace: string | null;
        };
        /** @description What counts for the next turn. */
        AgentSetting: {
            /** @description Where it comes from: `definition`, `configuration` or `default`. */
            from: string;
            /**
             * Format: int64
             * @description The value in seconds, of a time span.
             */
            seconds?: number | null;
            /** @description As it can be written in the definition. */
            value: unknown;
        };
        /** @description The turns of an agent that ended on these days. */
        AgentStatistics: {
            agent: string;
            /** Format: double */
            cost_usd: number;
            /** Format: int64 */
            failures: number;
            /** Format: int64 */
            turns: number;
        };
        /**
         * @description How an agent stands.
         * @enum {string}
         */
        AgentStatus: "idle" | "queued" | "working" | "paused" | "pending" | "error";
        /** @description A vault that agents can live in. */
        AgentVault: {
            /** @description Who added it: `api` or `configuration`. */
            from: string;
            kind: components["schemas"]["VaultKind"];
            /** @description There is something that lets us in. */
            tokenPresent: boolean;
            /** @description Of its server. */
            url: string;
            vault: string;
        };
        /** @description A vault that was added. */
        AgentVaultAdded: {
            ok: boolean;
            vault: components["schemas"]["AgentVault"];
        };
        /** @description The vaults that agents can live in. */
        AgentVaultList: {
            vaults: components["schemas"]["AgentVault"][];
        };
        /** @description What became of a vault that was to be removed. */
        AgentVaultRemoved: {
            ok: boolean;
            /** @description False: there was no such vault. */
            removed: boolean;
            /** @description Turns that still run in it. */
            running: number;
            vault: string;
        };
        /** @description What a definition would amount to. */
        AgentVerdict: {
            /** @description What it asks for and would not get. */
            lowered: components["schemas"]["LoweredSetting"][];
            /** @description It would count as it is. */
            ok: boolean;
            /** @description What keeps it from that. */
            problems: components["schemas"]["Problem"][];
            /** @description Every setting that would count, by its key; none when it does not hold together. */
            settings: {
                [key: string]: components["schemas"]["AgentSetting"];
            };
            /** @description What looks wrong with it all the same. */
            warnings: components["schemas"]["Problem"][];
        };
        /** @description What is to be approved. Its token is shown nowhere. */
        ApproveRequest: {
            /** @description As a list shows it. */
            holder?: string | null;
            key: string;
            /** @description Instead of the holder: the path of a role. */
            role?: string | null;
            /** @description The secret, where one is needed. */
            token?: string | null;
            /** @description The address, where one is needed. */
            url?: string | null;
            /** @description The vault of the role; the first one when nothing is said. */
            vault?: string | null;
        };
        /** @description An answer. */
        AttachedReply: {
            /** @description The claim that came with it: then only that one counts. */
            claim?: string | null;
            /** @description The message that it answers, by the `id` that came with it; without it the answer is a word of the agent's own. */
            in_reply_to?: string | null;
            text: string;
        };
        /** @description How a client gets in. */
        AuthStatus: {
            auth_modes: string[];
            hasOwnerPassword: boolean;
            hasTokens: boolean;
            hasTotp: boolean;
            hub: components["schemas"]["HubPlace"] | null;
            initialized: boolean;
            /** @description Those that the caller may look into. */
            vaults: components["schemas"]["VaultPlace"][];
        };
        /** @description A copy of a vault. */
        Backup: {
            /**
             * Format: int64
             * @description Size of all.
             */
            bytes: number;
            /** @description The copy of the database, or of the index of a folder; the files of notes are beside it, in `<file>-files`. */
            file: string;
            /**
             * Format: int64
             * @description Files in it.
             */
            files: number;
            /** @description The copy of the folder, of a vault in one. */
            folder?: string | null;
            /**
             * Format: int64
             * @description Notes in it.
             */
            notes: number;
            vault: string;
        };
        /** @description Where a copy goes. */
        BackupRequest: {
            /** @description A directory on the machine of the daemon; absolute. */
            directory: string;
            /** @description A copy that is there already is replaced once this one is whole. Unless said, it is in the way. */
            replace?: boolean;
        };
        /** @description How a bridge does. */
        Bridge: {
            /** @description The agent that its messages are for. */
            agent: string;
            /** @description Why it does not work. */
            error?: string | null;
            /** @description What it bridges to. */
            kind: string;
            name: string;
            /**
             * Format: date-time
             * @description When it tries again.
             */
            next_try_at?: string | null;
            /** @description Whether it may be removed while the daemon runs; what the configuration has is changed there. */
            removable: boolean;
            /** @description Sessions that listen to its channel. */
            sessions: number;
            /** @description `starting`, `up`, `retrying`, `stopped`, `refused`; or `removed`, when nothing is left but what it has not sent. */
            state: string;
            /**
             * Format: int64
             * @description What was given up.
             */
            undelivered: number | null;
            /**
             * Format: int64
             * @description What waits in its outbox; null when it keeps none, or it cannot be counted.
             */
            waiting: number | null;
        };
        /** @description It is written down, and runs. */
        BridgeAdded: {
            /** @description The agent that its messages are for. */
            agent: string;
            /** @description It runs; `GET /api/bridges` says how it does. */
            live: boolean;
            name: string;
            ok: boolean;
            /** @description It took the place of one of its name, which was ended first. */
            replaced: boolean;
            transport: string;
        };
        /** @description It was done. */
        BridgeDone: {
            ok: boolean;
        };
        /** @description A file that somebody sent. */
        BridgeDownload: {
            /** @description The channel. */
            channel?: string | null;
            /** @description How the other side calls the file. */
            file_id?: string | null;
        };
        /** @description A change of a message. */
        BridgeEdit: {
            /** @description The channel. */
            channel?: string | null;
            /** @description The chat, where a channel has several. */
            chat_id?: string | null;
            /** @description The message. */
            message_id?: string | null;
            /** @description What else the bridge needs. */
            meta?: {
                [key: string]: string;
            } | null;
            /** @description What it shall say. */
            text?: string | null;
        };
        /** @description Where a file is now. */
        BridgeFile: {
            /** @description Its path on the machine of the daemon. */
            path: string;
        };
        /** @description The bridges. */
        BridgeList: {
            bridges: components["schemas"]["Bridge"][];
        };
        /** @description A session asks whether it may use a tool. */
        BridgePermission: {
            /** @description The channel. */
            channel?: string | null;
            /** @description What it is about to do. */
            description?: string | null;
            /** @description The beginning of its input. */
            input_preview?: string | null;
            /** @description Names the request. */
            request_id?: string | null;
            /** @description The tool. */
            tool_name?: string | null;
        };
        /** @description A reaction. */
        BridgeReaction: {
            /** @description The channel. */
            channel?: string | null;
            /** @description The chat, where a channel has several. */
            chat_id?: string | null;
            /** @description The emoji. */
            emoji?: string | null;
            /** @description The message. */
            message_id?: string | null;
            /** @description What else the bridge needs. */
            meta?: {
                [key: string]: string;
            } | null;
        };
        /** @description It is gone. */
        BridgeRemoved: {
            /**
             * Format: int64
             * @description How much of that was thrown away, with what is remembered of what was delivered.
             */
            discarded: number;
            name: string;
            ok: boolean;
            /** @description Whether it ran. */
            removed: boolean;
            /**
             * Format: int64
             * @description What it had given up, kept likewise.
             */
            undelivered: number | null;
            /**
             * Format: int64
             * @description What it had to send and is kept until a bridge of this name and kind is there again. Null when it cannot be counted.
             */
            waiting: number | null;
        };
        /** @description A message for the people of a channel. */
        BridgeReply: {
            /** @description The channel. */
            channel?: string | null;
            /** @description The chat, where a channel has several. */
            chat_id?: string | null;
            /** @description Files on this machine that go with it, absolute. The bridge says which it takes. */
            files?: string[] | null;
            /** @description What else the bridge needs. */
            meta?: {
                [key: string]: string;
            } | null;
            /** @description The message that it answers. */
            reply_to?: string | null;
            /** @description What it says. */
            text?: string | null;
        };
        /** @description What was sent. */
        BridgeSent: {
            /** @description Identities on the other side, in order; none when nobody got it. */
            sent: string[];
        };
        /** @description Who cancels a message. */
        CancelRequest: {
            /** @description `operator` when nothing is said. */
            by?: string | null;
        };
        /** @description A channel. */
        Channel: {
            /** @description The agent's. */
            name: string;
            /** @description How its messages come and go: `vault` for notes of a vault, else the kind of its bridge. */
            transport: string;
            /** @description Absent where no agent has the name of the bridge. */
            vault?: string | null;
        };
        /** @description Channels. */
        ChannelList: {
            channels: components["schemas"]["Channel"][];
        };
        /** @description One thing that was looked at. */
        Check: {
            /** @description What was looked at. Several may be called so, such as one `vault` each. */
            check: string;
            /** @description What was found. */
            detail: string;
            /** @description How it is. */
            level: components["schemas"]["CheckLevel"];
            /** @description What to do. */
            mend?: string | null;
        };
        /**
         * @description How a check went.
         * @enum {string}
         */
        CheckLevel: "ok" | "warning" | "error";
        /** @description Which message. */
        ClaimedMessage: {
            /** @description The claim that came with it: then only that one counts. */
            claim?: string | null;
            /** @description As it came with the message. */
            id: string;
        };
        /** @description A message that a session has taken. */
        ClaimedTurn: {
            /** @description Who has it: `operator`, or `token:` with the token's id. */
            by: string;
            /**
             * Format: date-time
             * @description When the claim ends unless it is renewed.
             */
            ends_at: string | null;
            /** @description The note of its message. */
            message: string;
            /** Format: date-time */
            since_at: string | null;
            /** Format: uuid */
            turn: string;
        };
        /** @description Whether there is a credential, and which agents have their own. */
        ClaudeCredentials: {
            /** @description Agents with their own. */
            channels: string[];
            /** @description For agents that have none of their own. */
            defaultSet: boolean;
        };
        /** @description A credential of Claude Code. */
        ClaudeToken: {
            /** @description A token of `claude setup-token`, or an API key. */
            token: string;
        };
        /** @description One entry of what an agent wants. */
        Connection: {
            /** @description Where the grant is kept, when somebody else keeps it. */
            grantId?: string | null;
            /** @description What tells it from the agent's other ones. */
            key: string;
            /** @description `vault`, `service`, `surface` or `mcp`. */
            kind: string;
            /** @description More on a status that is not `approved`. */
            reason?: string | null;
            /** @description `approved`, or why not: `pending`, `revoked`, `needs_consent`, `error`. */
            status: string;
            /** @description The vault, service, surface or address. */
            target: string;
        };
        /** @description What was decided. */
        ConnectionDecision: {
            connection: components["schemas"]["HeldConnection"];
        };
        /** @description What is wanted. */
        ConnectionList: {
            /** @description Who decides: `local` or `hub`. */
            backend: string;
            connections: components["schemas"]["HeldConnection"][];
        };
        /** @description Another text in the place of one. */
        ContentEdit: {
            new_text: string;
            old_text: string;
        };
        /** @description A conversation. */
        Conversation: {
            /** @description A person has put it away. */
            archived: boolean;
            /** @description Its agent. */
            channel: string;
            /** Format: double */
            cost_usd: number;
            key: components["schemas"]["ThreadKey"];
            /**
             * Format: date-time
             * @description When something happened in it last: a message was accepted, a turn began or ended.
             */
            last_at: string;
            /** @description The note of the conversation; null while there is none. */
            note_id: string | null;
            /** @description The first words of its last message. */
            preview: string | null;
            /**
             * Format: uuid
             * @description The session that its next turn goes on with.
             */
            session: string | null;
            /**
             * Format: date-time
             * @description When its first turn began.
             */
            started_at: string | null;
            state: components["schemas"]["ThreadState"];
            /** Format: uuid */
            thread: string;
            /** @description The name that a person has given it. */
            title: string | null;
            /**
             * Format: int64
             * @description Settled turns.
             */
            turns: number;
            /** @description Where its notes are. */
            vault: string;
        };
        /** @description What was changed. */
        CredentialChanged: {
            channel?: string | null;
            /** @description Of a variable. */
            name?: string | null;
            /** @description What a person should know. */
            note?: string | null;
            ok: boolean;
            /** @description Of a removal: whether there was one. */
            removed?: boolean | null;
            /** @description `default`: for all agents; `channel`: for one. */
            scope: string;
        };
        /**
         * @description Where a credential comes from.
         * @enum {string}
         */
        CredentialSource: "stored" | "configuration" | "environment" | "login" | "not_needed" | "none";
        /** @description What signs agents in. */
        CredentialSummary: {
            /** @description Agents with a stored one of their own. */
            agents: string[];
            /** @description Why what is stored cannot be read; then turns fail. */
            problem?: string | null;
            /** @description Of agents that have none of their own. */
            source: components["schemas"]["CredentialSource"];
            /** @description The variable that hands it over. */
            variable?: string | null;
        };
        /** @description The turns that ended on a day. */
        DayStatistics: {
            /** Format: double */
            cost_usd: number;
            /** @description Such as 2026-11-26. */
            day: string;
            duration_ms: components["schemas"]["Quantiles"] | null;
            /**
             * Format: int64
             * @description Those that ended with an error or were cut off for good.
             */
            failures: number;
            /**
             * Format: int64
             * @description The prompt cache is not counted.
             */
            input_tokens: number;
            /** Format: int64 */
            output_tokens: number;
            turns: components["schemas"]["TurnCounts"];
            wait_ms: components["schemas"]["Quantiles"] | null;
        };
        /** @description What is read of a hint. What happened to the note is seen in the vault. */
        DefinitionHint: {
            note: components["schemas"]["HintedNote"];
            vault?: string | null;
        };
        /** @description Deliveries of a trigger, newest first. */
        DeliveriesBody: {
            deliveries: components["schemas"]["DeliveryBody"][];
            /**
             * Format: int64
             * @description For `before`; null on the last page.
             */
            next: number | null;
        };
        /** @description Something that a trigger tells. */
        DeliveryBody: {
            /** Format: int64 */
            attempts: number;
            createdAt: string;
            error: string | null;
            event: string;
            id: string;
            nextAt: string | null;
            noteId: string;
            /** Format: int64 */
            number: number;
            remark: string | null;
            settledAt: string | null;
            /** @description `waiting`, `delivered` or `dead`. */
            state: string;
            /**
             * Format: int64
             * @description Of the last answer.
             */
            status: number | null;
        };
        /** @description Programs that the daemon needs. */
        Dependencies: {
            /** @description Those that were not found. */
            missing: string[];
            ok: boolean;
            sandbox?: components["schemas"]["SandboxProbe"] | null;
        };
        /**
         * @description Who wrote a message to whom.
         * @enum {string}
         */
        Direction: "inbound" | "outbound";
        /** @description What was found. */
        DoctorReport: {
            /** @description One after the other, as `reveille doctor` shows them. */
            checks: components["schemas"]["Check"][];
            /**
             * Format: date-time
             * @description When the look began.
             */
            ran_at: string;
        };
        /** @description The variables of an agent's turns. */
        EffectiveEnv: {
            /** @description By name; of one name what counts stands first. */
            env: components["schemas"]["EnvEntry"][];
            /** @description What a person should know. */
            note?: string | null;
            /** @description Names in the file of credentials that no turn gets. */
            refused?: string[];
        };
        /** @description A destination with what became of the connections to it. */
        EgressCount: {
            /**
             * Format: int64
             * @description How many connections.
             */
            count: number;
            /** @description `allowed`, `refused`, `refused_address` (a name that leads into the machine's own networks) or `failed`. */
            decision: string;
            /** @description Name or address as the agent gave it; `*` counts those that came after too many. */
            host: string;
            /**
             * Format: int32
             * @description Port.
             */
            port: number;
        };
        /** @description A variable of an agent's turns. */
        EnvEntry: {
            name: string;
            /** @description Another entry counts instead. */
            overridden?: boolean;
            /** @description The daemon adds it to the requests, and the turn has a placeholder instead, or nothing: `[sandbox] shield`. */
            shielded?: boolean;
            /**
             * @description `channel`: stored for this agent; `default`: stored for all; `configuration`: `[claude.env]`; `grant:NAME`: an approved
             *     connection; `daemon`: passed on from the daemon; `shield`: the daemon's own address, behind which it adds the credential.
             */
            source: string;
        };
        /** @description The variables that are stored, by name. */
        EnvNames: {
            /** @description For one agent, by its name. */
            channels: {
                [key: string]: string[];
            };
            /** @description For all agents. */
            default: string[];
        };
        /** @description Which variable. */
        EnvRemoval: {
            /** @description The agent; the layer of all without it. */
            channel?: string | null;
            /** @description The variable. */
            name?: string | null;
        };
        /** @description A variable of turns. */
        EnvSecret: {
            /** @description The agent; all of them without it. */
            channel?: string | null;
            /** @description Letters, digits and `_`. */
            name: string;
            value: string;
        };
        /** @description Why a request was not done, as it is sent. */
        Error: {
            /**
             * @description Stable code, for programs.
             * @example unknown_agent
             */
            error: string;
            /** @description The code again, as other daemons of this kind have it. */
            error_type?: string;
            /** @description The same. */
            granted?: string[];
            /** @description What the token has, of `insufficient_scope`. */
            granted_scopes?: string[];
            /** @description What happened, for people. */
            message: string;
            /** @description What was kept, and what to do now. */
            next_step?: string | null;
            /** @description Everything that is wrong with what was sent, where several things can be. */
            problems?: components["schemas"]["Problem"][];
            /** @description `setup` or `token`, of `step_up_required`. */
            reason?: string;
            /** @description What it would take, of `insufficient_scope`. */
            required_scope?: string;
            /** @description Seconds, as the header says them. */
            retry_after?: number;
            /** @description What the token is limited to, of `tag_scope_violation`. */
            scoped_tags?: string[];
        };
        /** @description A conversation that was looked for. */
        FoundThread: components["schemas"]["Conversation"] & {
            match: components["schemas"]["FoundWords"] | null;
        };
        /** @description Conversations, that of which something happened last first. */
        FoundThreads: {
            /** @description For `cursor`; null on the last page. A page can be short or empty and not the last one. */
            next_cursor: string | null;
            threads: components["schemas"]["FoundThread"][];
            /** @description Vaults in which nothing could be looked for. */
            unsearched: components["schemas"]["UnsearchedVault"][];
        };
        /** @description A piece of a text with what was found in it. */
        FoundWords: {
            after: string;
            before: string;
            hit: string;
        };
        /** @description A link of a graph. */
        GraphEdge: {
            relationship: string;
            source: string;
            target: string;
        };
        /** @description A note of a graph. */
        GraphNode: {
            id: string;
            path: string | null;
            tags: string[];
        };
        /** @description How the daemon is. Strangers get the status and nothing else. */
        Health: (components["schemas"]["HealthLines"] | null) & {
            /** @description How many there are. */
            agents?: number | null;
            credential?: components["schemas"]["CredentialSummary"] | null;
            /**
             * Format: int64
             * @description What triggers have given up telling. Null when a vault cannot be read.
             */
            dead_deliveries?: number | null;
            dependencies?: components["schemas"]["Dependencies"] | null;
            sandbox?: components["schemas"]["SandboxSummary"] | null;
            status: components["schemas"]["HealthStatus"];
            /**
             * Format: int64
             * @description Replies, thread notes and callbacks that the vault has not taken yet; they are kept and tried again. Null when they
             *     cannot be counted.
             */
            undelivered?: number | null;
            /** @description How the vaults stand. */
            vaults?: components["schemas"]["VaultHealth"][] | null;
            version?: string | null;
        };
        /** @description What an agent does, over all its conversations. */
        HealthAgent: {
            /** @description `programmatic` or `attached`. */
            backend: string;
            /** @description The same as its name. */
            channel: string;
            name: string;
            /** @description `idle`, `working`, or `queued:` and how many messages wait. */
            status: string;
        };
        /** @description A channel: the line of an agent. */
        HealthChannel: {
            /** @description Open streams of its turns alone. */
            clients: number;
            /** @description How messages get there: `vault` as notes, else the kind of the bridge of this name. */
            kind: string;
            /** @description Sessions of MCP at its door. */
            mcp_sessions: number;
            name: string;
        };
        /** @description Agents, their channels, and who watches. */
        HealthLines: {
            /** @description Agents whose messages others pull. */
            attached_agents: components["schemas"]["HealthAgent"][];
            /** @description Bridges to other systems, and how they do. */
            bridges: components["schemas"]["Bridge"][];
            channels: components["schemas"]["HealthChannel"][];
            /** @description Sessions of MCP at the door of the whole daemon. */
            mcp_sessions: number;
            /** @description Agents whose turns the daemon runs. */
            programmatic_agents: components["schemas"]["HealthAgent"][];
            /** @description Open streams of live events. */
            total_clients: number;
        };
        /**
         * @description Whether all is well.
         * @enum {string}
         */
        HealthStatus: "ok" | "degraded";
        /** @description What an agent or a role wants, and what became of it. */
        HeldConnection: {
            /** @description Of a vault or a surface. */
            access?: string | null;
            /** @description The same, when it is an agent. */
            agent?: string | null;
            /** @description The variable that holds its secret. */
            env?: string | null;
            /** @description Where the grant is kept, when somebody else keeps it. */
            grantId?: string | null;
            /** @description The agent, or the role as `role:PATH`. */
            holder: string;
            /** @description Of a service: how its secret is handed over. */
            inject?: string[] | null;
            /** @description What tells it from the holder's other ones. */
            key: string;
            /** @description `vault`, `service`, `surface` or `mcp`. */
            kind: string;
            /** @description More on the status, for a person. */
            reason?: string | null;
            /** @description `approved`, or why not: `pending`, `revoked`, `needs_consent`, `error`. */
            status: string;
            /** @description Of a vault: only notes with these. */
            tags?: string[];
            /** @description The vault, service, surface or address. */
            target: string;
        };
        /** @description A note, by its id or by its path. */
        HintedNote: {
            id?: string | null;
            path?: string | null;
        };
        /** @description What was made of a note. Who shows the secret of a vault instead of a token is told nothing. */
        HintTaken: {
            ok?: boolean | null;
            /** @description Of a role: `reconciled`, `pruned`, `error` or `skipped`. */
            reconciled?: string | null;
            /** @description `instantiated`, `deregistered` or `skipped`. */
            reloaded?: string | null;
        };
        /** @description What came of a call. */
        HookTaken: {
            /** @description The message that it became; absent when the call is not for the agent. */
            id?: string | null;
            /** @description Why it is not. */
            ignored?: string | null;
            ok: boolean;
        };
        /** @description The hub whose tokens let in. */
        HubPlace: {
            /** @description Its address. */
            origin: string;
            /** @description Where a person signs in to it. */
            sign_in_url: string;
            /** @description Where a browser that is signed in there gets a token for us. */
            token_url: string;
        };
        /** @description What the clock sends. */
        Job: {
            /** @description What is done about occurrences of a time when the daemon did not run. */
            catch_up: string;
            /** @description The agent that gets the message. */
            channel: string;
            createdAt: string;
            /** @description The agent that wrote it. */
            defined_by?: string | null;
            enabled: boolean;
            id: string;
            lastRunAt?: string | null;
            lastStatus?: string | null;
            message: string;
            nextRunAt?: string | null;
            noteId: string;
            /** @description What is done when the turn of the last one still runs. */
            overlap: string;
            pause_reason?: string | null;
            /** @description What keeps it from running. */
            problems: components["schemas"]["Problem"][];
            schedule: components["schemas"]["JobSchedule"];
            /** @description `enabled`, `paused`, `done` or `error`. */
            status: string;
            /** @description More on the status, for a person. */
            status_detail: string;
            /** @description The conversation that its messages belong to. */
            subject?: string | null;
            vault: string;
            /** @description What looks wrong with it. */
            warnings: components["schemas"]["Problem"][];
        };
        /** @description A job after a change. */
        JobAnswer: {
            job: components["schemas"]["Job"];
            ok: boolean;
        };
        /** @description A change of a job, of which only the types are checked. */
        JobEdit: {
            /**
             * @description What is done about occurrences of a time when the daemon did not run; null: what is usual.
             * @default null
             */
            catch_up: string | null;
            /** @default null */
            enabled: boolean;
            /**
             * @description What the agent is told.
             * @default null
             */
            message: string;
            /**
             * @description What is done when the turn of the last one still runs; null: what is usual.
             * @default null
             */
            overlap: string | null;
            /**
             * @description When it is due; what is left out is taken away.
             * @default null
             */
            schedule: components["schemas"]["JobSchedule"];
            /**
             * @description The conversation that its messages belong to; null takes it away.
             * @default null
             */
            subject: string | null;
        };
        /** @description What the clock sends. */
        JobList: {
            jobs: components["schemas"]["Job"][];
        };
        /** @description When a job would be due. */
        JobOccurrence: {
            at: string;
            /** @description The same on the clock of the job's zone. */
            local: string;
        };
        /** @description Why a job is paused. */
        JobPauseRequest: {
            /** @description For people. */
            reason?: string | null;
        };
        /** @description A message that a job has sent. */
        JobRan: {
            id: string;
            /** @description The same. */
            message_id?: string | null;
            /** @description The note of the message. */
            noteId?: string | null;
            ok: boolean;
            /** @description `ok`, or `error: …`. */
            status: string;
            /**
             * Format: uuid
             * @description The turn that answers it.
             */
            turn?: string | null;
        };
        /** @description What became of a job that was to be removed. */
        JobRemoved: {
            id: string;
            ok: boolean;
            /** @description False: there was no such job. */
            removed: boolean;
        };
        /** @description What became of an occurrence, or of several that were skipped together. */
        JobRun: {
            /** @description When that was written down. */
            at: string;
            code?: string | null;
            /**
             * Format: int64
             * @description Occurrences that this stands for.
             */
            count: number;
            /** @description Why it ran or not, such as `scheduled` or `manual`. */
            kind: string;
            /** @description The note of its message. */
            message_id?: string | null;
            /** @description When it was due. */
            occurrence_at: string;
            outcome?: string | null;
            reason?: string | null;
            /** @description What became of it, such as `fired` or `skipped`. */
            state: string;
            turn?: components["schemas"]["JobRunTurn"] | null;
            /** @description The last of them. */
            until_at?: string | null;
        };
        /** @description What became of the occurrences of a job. */
        JobRuns: {
            runs: components["schemas"]["JobRun"][];
        };
        /** @description The turn of an occurrence. */
        JobRunTurn: {
            /** Format: uuid */
            id: string;
            state: components["schemas"]["TurnState"];
        };
        /** @description When a job is due: either `cron` or `at`. */
        JobSchedule: {
            /** @description Once, at this time. */
            at?: string | null;
            /** @description Five fields. */
            cron?: string | null;
            /** @description Name of a time zone. */
            tz?: string | null;
        };
        /** @description What a job would amount to. */
        JobVerdict: {
            /** @description The next five times, as far as there are so many. They are told also of a job that is not whole, once its schedule is. */
            next: components["schemas"]["JobOccurrence"][];
            /** @description It could be made as it is. */
            ok: boolean;
            /** @description What keeps it from that. */
            problems: components["schemas"]["Problem"][];
            /** @description The zone whose clock counts; null when the schedule cannot be read. */
            tz: string | null;
            /** @description What looks wrong with it all the same. */
            warnings: components["schemas"]["Problem"][];
        };
        /** @description The turn of an agent that was settled last. */
        LastTurn: {
            /** Format: date-time */
            ended_at: string;
            outcome: components["schemas"]["TurnState"];
            /** Format: uuid */
            turn: string;
        };
        /** @description Links that come and go. */
        LinksChange: {
            add?: components["schemas"]["NewLinkBody"][] | null;
            remove?: components["schemas"]["OldLinkBody"][] | null;
        };
        /** @description Something that a definition asks for and does not get. */
        LoweredSetting: {
            /** @description What was asked for. */
            asked: string;
            /** @description What the agent has instead. */
            got: string;
            /** @description The setting. */
            key: string;
            /** @description Why, and what to do. */
            reason: string;
        };
        /** @description A message, if there is one. */
        MaybeMessage: components["schemas"]["TakenMessage"] | components["schemas"]["NoMessage"];
        /** @description A message of a transcript. */
        Message: components["schemas"]["MessageMore"] & {
            /** @description When it was written, RFC 3339. */
            at: string;
            /** @description Code of a failure. */
            code?: string | null;
            direction: components["schemas"]["Direction"];
            /**
             * Format: date-time
             * @description When the turn of that answer ended.
             */
            ended_at?: string | null;
            error?: components["schemas"]["TurnFailure"] | null;
            /** @description Its note. */
            id: string;
            /** @description The note of the message that it answers. */
            in_reply_to?: string | null;
            /** @description What kind of answer it is, such as `failure`. */
            kind?: string | null;
            /** @description What to do about a failure. */
            next_step?: string | null;
            /** @description That answer. */
            reply?: string | null;
            /** @description The agent that gets the outcome. */
            reply_to?: string | null;
            /** @description Who wrote it; empty when nobody said so. */
            sender: string;
            state?: components["schemas"]["TurnState"] | null;
            /** @description The conversation that it belongs to. */
            subject?: string | null;
            text: string;
            /** @description The turn that answers it, or that it is the answer of. */
            turn?: string | null;
            /** @description Its turn has ended, and the vault has not taken the answer yet. */
            undelivered?: boolean;
        };
        /** @description A file of a message. */
        MessageFile: {
            id: string;
            /** @description Media type. */
            mime: string;
            name: string;
            /** Format: int64 */
            size_bytes: number;
            /** @description Where it is, from the daemon's base on: below its mount. */
            url: string;
        };
        /** @description The messages to an agent and its answers. */
        MessageList: {
            /** @description Oldest first. */
            messages: components["schemas"]["Message"][];
            /** @description For `cursor`, to get those before; null when there are none. */
            next_cursor: string | null;
        };
        /**
         * @description What a message does to the others of its conversation.
         * @enum {string}
         */
        MessageMode: "followup" | "collect" | "interrupt";
        /** @description It. */
        MessageMore: {
            attachments: components["schemas"]["MessageFile"][];
            /** @description It tells the agent of the end of what it had handed on. */
            callback: boolean;
            /** @description The chain of hand-overs that it belongs to; null when its turn is not known. */
            chain: string | null;
            /**
             * Format: double
             * @description The same in US dollars.
             */
            cost_usd: number | null;
            delegated_by: components["schemas"]["MessageParent"] | null;
            /**
             * Format: int64
             * @description How long that turn took, without waiting.
             */
            duration_ms: number | null;
            usage: components["schemas"]["TurnUsage"] | null;
        };
        /** @description The turn that wrote a message. */
        MessageParent: {
            agent: string;
            /** @description The note of its message. */
            message: string;
            /** Format: uuid */
            turn: string;
        };
        /** @description Notes of a month. */
        MonthCount: {
            /** Format: int64 */
            count: number;
            month: string;
        };
        /** @description Where a message is to go. */
        MoveRequest: {
            to: components["schemas"]["QueuePlace"];
        };
        /**
         * @description An agent that is to be made.
         * @example {
         *       "metadata": {
         *         "mode": "multi-threaded"
         *       },
         *       "name": "scribe",
         *       "prompt": "You write minutes."
         *     }
         */
        NewAgent: {
            /** @description Other settings of the definition. */
            metadata?: {
                [key: string]: unknown;
            };
            model?: string | null;
            name: string;
            /** @description Its role. */
            prompt?: string;
            /** @description Where its notes are to live; the default vault, when absent. */
            vault?: string | null;
        };
        /** @description A definition that is to be made. */
        NewAgentDef: {
            /** @description `programmatic` or `attached`. */
            backend?: string | null;
            /** @description Other settings. */
            metadata?: {
                [key: string]: unknown;
            };
            name: string;
            /** @description Its role. */
            systemPrompt?: string;
            vault: string;
            /** @description What it wants, as it is written in a note. */
            wants?: string | null;
        };
        /** @description A vault that somebody wants to add. */
        NewAgentVault: {
            /** @description What lets us in; without it the hub is asked for something. */
            token?: string | null;
            /** @description Address of its server. */
            url?: string | null;
            /** @description Its name, here and there. */
            vault: string;
            /** @description What its server shows with a hint that something was written there. */
            webhook_secret?: string | null;
        };
        /** @description A file for a note. */
        NewAttachmentBody: {
            filename?: string | null;
            mimeType?: string | null;
            /** @description Where it was stored. */
            path: string;
        };
        /**
         * @description A bridge to add.
         * @example {
         *       "agent": "scribe",
         *       "name": "pages",
         *       "transport": "http-ui"
         *     }
         */
        NewBridge: {
            /** @description The agent that its messages are for; the one of its name when nothing is said. */
            agent?: string | null;
            /**
             * @description What its kind needs, as in `channels.json`. For `telegram` a `token`, and perhaps `stateDir`, `apiBase`,
             *     `requireAccessFile`, `subjectPerChat`.
             */
            config?: {
                [key: string]: unknown;
            } | null;
            /** @description Letters, digits, `_` and `-`; at most 64. */
            name: string;
            /** @description `telegram` or `http-ui`. */
            transport: string;
        };
        /**
         * @description A new job.
         * @example {
         *       "channel": "eng",
         *       "id": "daily",
         *       "message": "Look at the inbox.",
         *       "schedule": {
         *         "cron": "0 7 * * *",
         *         "tz": "Europe/Berlin"
         *       }
         *     }
         */
        NewJob: {
            /**
             * @description What is done about occurrences of a time when the daemon did not run; null: what is usual.
             * @default null
             */
            catch_up: string | null;
            /**
             * @description The agent that gets the message.
             * @default null
             */
            channel: string;
            /** @default null */
            enabled: boolean;
            /**
             * @description Letters, digits, `_` and `-`.
             * @default null
             */
            id: string;
            /**
             * @description What the agent is told.
             * @default null
             */
            message: string;
            /**
             * @description What is done when the turn of the last one still runs; null: what is usual.
             * @default null
             */
            overlap: string | null;
            /**
             * @description When it is due; what is left out is taken away.
             * @default null
             */
            schedule: components["schemas"]["JobSchedule"];
            /**
             * @description The conversation that its messages belong to; null takes it away.
             * @default null
             */
            subject: string | null;
        };
        /** @description A link of a note. */
        NewLinkBody: {
            metadata?: {
                [key: string]: unknown;
            } | null;
            relationship?: string | null;
            /** @description Id or path of a note. */
            target: string;
        };
        /**
         * @description A message as its sender words it.
         * @example {
         *       "subject": "order 17",
         *       "text": "Look at this."
         *     }
         */
        NewMessage: {
            /** @description Paths of files that were uploaded to the agent's vault. */
            attachments?: string[] | null;
            /** @description Goes on with this chain. A turn cannot choose: its own counts. */
            chain_id?: string | null;
            /** @description The claim on the message of an attached agent that this one hands on: it belongs to its chain, and is from that agent. */
            claim?: string | null;
            /** @description Echoed to it. */
            correlation_id?: string | null;
            /** @description What it does to the others of its conversation: `followup`, `collect` or `interrupt`. */
            mode?: string | null;
            /** @description The agent that gets the outcome. */
            reply_to?: string | null;
            /** @description Who sends it. Only the operator chooses; `operator` when nothing is said. */
            sender?: string | null;
            /** @description The conversation that it belongs to. */
            subject?: string | null;
            /** @description What is to be done. */
            text: string;
            /** @description The same by another name. */
            thread?: string | null;
        };
        /** @description A note that is to be made. */
        NewNoteBody: {
            attachments?: components["schemas"]["NewAttachmentBody"][] | null;
            content?: string | null;
            createdAt?: string | null;
            id?: string | null;
            links?: components["schemas"]["NewLinkBody"][] | null;
            metadata?: {
                [key: string]: unknown;
            } | null;
            path?: string | null;
            tags?: string[] | null;
        };
        /** @description A batch of notes; 500 at most. */
        NewNotesBatch: {
            notes: components["schemas"]["NewNoteBody"][];
        };
        /** @description One note, or a batch that is written as a whole or not at all. */
        NewNotesBody: components["schemas"]["NewNoteBody"] | components["schemas"]["NewNotesBatch"];
        /** @description What a token is to be. */
        NewToken: {
            /**
             * Format: date-time
             * @description When it ends; without it never by itself.
             */
            expires_at?: string | null;
            /** @description What a person calls it; 200 characters. */
            label?: string | null;
            /** @description `reveille:read|send|write|admin`, and `vault:NAME:read|write|admin`. */
            scopes: string[];
            /** @description Only notes with these, or with a tag below one of them. For tokens of vaults alone. */
            tags?: string[];
        };
        /** @description A trigger that is to be made or changed. */
        NewTriggerBody: {
            action: components["schemas"]["TriggerAction"];
            enabled?: boolean | null;
            /** @description `created` and `updated`. */
            events?: string[] | null;
            name: string;
            /** @description A new signing secret. */
            rotate_secret?: boolean | null;
            when?: components["schemas"]["TriggerWhen"] | null;
        };
        /** @description A token that is to be made. */
        NewVaultToken: {
            expires_at?: string | null;
            label?: string | null;
            /** @description The same in one text. */
            scope?: string | null;
            /** @description All three of the vault, when nothing is said. */
            scopes?: string[] | null;
            /** @description It sees only notes with one of these. */
            tags?: string[] | null;
        };
        /**
         * @description A webhook that is to be.
         * @example {
         *       "events": [
         *         "turn.settled"
         *       ],
         *       "name": "ci",
         *       "url": "https://ci.example.com/reveille"
         *     }
         */
        NewWebhook: {
            /** @description Of which agents; all unless said. */
            agents?: string[];
            allow?: components["schemas"]["WebhookAllow"];
            /** @description What is told; everything unless said. */
            events?: string[];
            /**
             * Format: int32
             * @description Seconds between heartbeats of a running turn, 0 to 300.
             */
            heartbeat?: number | null;
            /** @description `a-z`, `0-9`, `-`, `_`; at most 63. */
            name: string;
            /** @description What it is told waits until it is resumed. */
            paused?: boolean;
            profile?: components["schemas"]["WebhookProfile"];
            /** @description Made, and shown once, unless given. Standard Webhooks: `whsec_` and base64. */
            secret?: string | null;
            url: string;
        };
        /** @description That there is no message. */
        NoMessage: {
            /** @description Always null. */
            message: string | null;
            /** @description The same for a person. */
            note: string;
            /** @description Why none is given although some may wait. */
            pause?: string | null;
        };
        /** @description A note. */
        Note: {
            /** @description With `include_attachments`. */
            attachments?: components["schemas"]["NoteAttachment"][] | null;
            /**
             * Format: int64
             * @description Size of the text, when that is not asked for.
             */
            byteSize?: number | null;
            /** @description Its text, when it is asked for. */
            content?: string | null;
            createdAt: string;
            id: string;
            /** @description With `include_links`. */
            links?: components["schemas"]["NoteLink"][] | null;
            /** @description Absent when it has none, or none of those that were asked for. */
            metadata?: {
                [key: string]: unknown;
            } | null;
            /** @description Absent when it has none. */
            path?: string | null;
            /** @description Beginning of the text, when that is not asked for. */
            preview?: string | null;
            tags: string[];
            updatedAt: string;
        };
        /** @description A file of a note. */
        NoteAttachment: {
            createdAt: string;
            filename: string;
            id: string;
            mimeType: string;
            noteId: string;
            path: string;
            /** Format: int64 */
            size?: number | null;
        };
        /** @description A note that is gone. */
        NoteDeleted: {
            deleted: boolean;
            id: string;
        };
        /** @description Notes and their links. */
        NoteGraph: {
            edges: components["schemas"]["GraphEdge"][];
            nodes: components["schemas"]["GraphNode"][];
        };
        /** @description A link between notes. */
        NoteLink: {
            createdAt: string;
            metadata?: {
                [key: string]: unknown;
            } | null;
            relationship: string;
            sourceId: string;
            sourcePath?: string | null;
            targetId: string;
            targetPath?: string | null;
        };
        /** @description A note and its time. */
        NoteMoment: {
            createdAt: string;
            id: string;
        };
        /** @description A change of a note. It needs `if_updated_at` or `force`, unless it only adds to the text. */
        NotePatch: {
            append?: string | null;
            content?: string | null;
            content_edit?: components["schemas"]["ContentEdit"] | null;
            createdAt?: string | null;
            /** @description Over whatever is there. */
            force?: boolean | null;
            /** @description `create` makes the note when it is missing. */
            if_missing?: string | null;
            /** @description The `updatedAt` that the change was made for. */
            if_updated_at?: string | null;
            links?: components["schemas"]["LinksChange"] | null;
            metadata?: {
                [key: string]: unknown;
            } | null;
            /** @description Null takes it away. */
            path?: string | null;
            prepend?: string | null;
            remove_metadata?: string[] | null;
            tags?: components["schemas"]["TagsChange"] | null;
        };
        /** @description A way between two notes. */
        NotePath: {
            path: string[];
            relationships: string[];
        };
        /** @description A listing, one note by `?id=`, or with `format=graph` a graph. */
        Notes: components["schemas"]["Note"][] | components["schemas"]["NoteGraph"] | components["schemas"]["Note"];
        /** @description Why a request was not done, as clients of the notes API know it. More fields say where. */
        NotesError: {
            /** @description Code of a wrong query, as that contract has it. */
            code?: string | null;
            /** @description A class, such as `Not found`; of a wrong query the whole sentence. */
            error: string;
            /** @description Stable code. */
            error_type?: string | null;
            /** @description What is to blame. */
            field?: string | null;
            /** @description What happened, for people. */
            message?: string | null;
            /** @description What to do now. */
            next_step?: string | null;
        };
        /** @description An object without keys: each would be a command to the server. */
        Nothing: Record<string, never>;
        /** @description Why not. */
        NotReady: {
            /** @description Stable code. */
            code: string;
            message: string;
        };
        /** @description A link that is to go. */
        OldLinkBody: {
            relationship: string;
            target: string;
        };
        /** @description A pause as it is shown. */
        Pause: {
            /** @description Stable code: `person`, or why the daemon paused it. */
            code: string;
            /** @description In a sentence, for a person. */
            reason: string;
            /** Format: date-time */
            since_at?: string | null;
            /**
             * Format: date-time
             * @description Ends by itself at this time.
             */
            until_at?: string | null;
        };
        /** @description A pause that a person wants. */
        PauseRequest: {
            /** @description Why. */
            reason?: string | null;
        };
        /** @description A message that waits. */
        PendingMessage: {
            /**
             * Format: date-time
             * @description When it was accepted.
             */
            at: string;
            /** @description The inbound note. */
            id: string;
            /** @description The beginning of its text, in one line. */
            preview: string;
            /** @description Who wrote it. */
            sender: string;
            /**
             * Format: uuid
             * @description Its conversation.
             */
            thread: string;
        };
        /** @description What waits. */
        PendingMessages: {
            /**
             * Format: int64
             * @description How many messages that can be taken.
             */
            count: number;
            /** @description The first of them, in the order in which they are taken. */
            items: components["schemas"]["PendingMessage"][];
            /** @description Why none is given now. */
            pause?: string | null;
        };
        /** @description Another PIN. */
        PinChange: {
            /** @description The one that there is. */
            currentPin?: string | null;
            /** @description 4 to 12 digits. */
            newPin: string;
        };
        /** @description What became of the PIN. */
        PinChanged: {
            configured: boolean;
            ok: boolean;
        };
        /** @description One thing that is wrong, or looks wrong, with a note. */
        Problem: {
            /** @description The setting or part that it is about. */
            key: string;
            /** @description What is wrong with it. */
            message: string;
        };
        /** @description Milliseconds that half of them took at most, and nineteen of twenty. */
        Quantiles: {
            /** Format: int64 */
            p50: number;
            /** Format: int64 */
            p95: number;
        };
        /** @description The line of an agent. */
        Queue: {
            channel: string;
            pause: components["schemas"]["Pause"] | null;
            /** @description Those that run, then those that wait, in order. */
            turns: components["schemas"]["Turn"][];
            /**
             * Format: int64
             * @description Messages that wait, also those that are not shown.
             */
            waiting: number;
        };
        /** @description A place in the line of a conversation: `"first"`, `"last"`, or `{"before": "a turn"}`. */
        QueuePlace: "first" | "last" | {
            before: string;
        };
        /**
         * @description Whether turns begin now.
         * @enum {string}
         */
        Readiness: "ready" | "starting" | "stopping" | "failing";
        /** @description Whether the daemon takes up work. */
        Ready: {
            /** @description For those who may read. */
            reasons?: components["schemas"]["NotReady"][];
            status: components["schemas"]["Readiness"];
        };
        /** @description What is to be told again. */
        RedriveBody: {
            /** @description All that are dead or wait for their next attempt, when nothing is said. */
            ids?: string[] | null;
        };
        /** @description How many are told again. */
        Redriven: {
            /** Format: int64 */
            redriven: number;
        };
        /** @description How much is sent again. */
        RedrivenMessages: {
            /** Format: int64 */
            retried: number;
        };
        /** @description What is to be sent again. */
        RedriveRequest: {
            /** @description This message; everything that the bridge has given up, when nothing is said. */
            id?: string | null;
        };
        /** @description A host that may be reached. */
        RehearsalHost: {
            /** @description `HOST:PORT`, `*.DOMAIN`, … */
            rule: string;
            /**
             * @description Who answers for where its name leads: `asked` (nobody), `known` or `trusted` (the operator, also for addresses of this
             *     machine and of its networks).
             */
            standing: string;
        };
        /** @description A service of the machine. */
        RehearsalPort: {
            /** @description Who answers, outside. */
            address: string;
            /**
             * Format: int32
             * @description Port of 127.0.0.1 inside.
             */
            port: number;
        };
        /** @description A message that waits again. */
        Released: {
            /** @description The inbound note. */
            id: string;
            /**
             * Format: uuid
             * @description Its turn.
             */
            turn: string;
        };
        /** @description A claim with another end. */
        Renewed: {
            /** @description The claim. */
            claim: string;
            /**
             * Format: date-time
             * @description When it ends now.
             */
            ends_at: string;
            /** @description The inbound note. */
            id: string;
            /**
             * Format: uuid
             * @description Its turn.
             */
            turn: string;
        };
        /** @description A reply that is safe. */
        Replied: {
            /** @description The outbound note. */
            id: string;
            /** @description The message that it answers. */
            in_reply_to?: string | null;
            /** @description It had been given before; nothing was written. */
            repeated: boolean;
            /**
             * Format: uuid
             * @description Its turn.
             */
            turn?: string | null;
            /** @description It is kept, but the vault has not taken it yet. */
            undelivered: boolean;
        };
        /** @description What is to be said instead. */
        ResendRequest: {
            /** @description The same as before when nothing is said. */
            text?: string | null;
        };
        /** @description Which conversations are to begin anew; all of them, when nothing is said. */
        ResetRequest: {
            thread?: components["schemas"]["ResetThread"] | null;
        };
        /** @description One conversation: `"main"`, or `{"subject": "…"}`. */
        ResetThread: "main" | {
            subject: string;
        };
        /** @description How much is tried again. */
        Retried: {
            /** Format: int64 */
            retried: number;
        };
        /** @description What is to be tried again. */
        RetryRequest: {
            /** @description What this turn has left to do; everything, when nothing is said. */
            turn?: string | null;
        };
        /** @description Who wants what: `holder` as a list shows it, or the path of a role, with its vault where that is not the first one. */
        RevokeRequest: {
            /** @description As a list shows it. */
            holder?: string | null;
            key: string;
            /** @description Instead of the holder: the path of a role. */
            role?: string | null;
            /** @description The vault of the role; the first one when nothing is said. */
            vault?: string | null;
        };
        /** @description A turn that runs. */
        RunningTurn: {
            /** @description The note of its message. */
            message: string;
            /** Format: date-time */
            since_at: string;
            /** Format: uuid */
            turn: string;
        };
        /** @description What one turn may take of the machine. Null: nothing limits that. */
        SandboxLimits: {
            /**
             * Format: int64
             * @description Share of the processors when they are all busy; what else runs has 100.
             */
            cpu_weight: number | null;
            /** @description Where the control groups of turns are. */
            group: string | null;
            /**
             * Format: int64
             * @description Bytes of all its processes together, with what is cached for them.
             */
            memory: number | null;
            /** @description What has no limit, why, and the mend. */
            missing: string | null;
            /**
             * Format: int64
             * @description Open files of each process.
             */
            open_files: number;
            /**
             * Format: int64
             * @description Processes and threads at once.
             */
            processes: number | null;
        };
        /** @description A directory that an agent has besides its own. */
        SandboxMount: {
            /** @description `ro` or `rw`. */
            mode: string;
            /** @description With all links followed. */
            path: string;
        };
        /** @description What a turn of an agent may reach, but for its conversation's own directories. All paths are absolute. */
        SandboxPolicy: {
            /** @description Hosts that are reached when the network is not open. */
            egress: components["schemas"]["RehearsalHost"][];
            /**
             * @description Variables of a turn, without those of proxies and without everything that is stored, configured or granted: it may
             *     be secret.
             */
            environment: {
                [key: string]: string;
            };
            filesystem: string;
            /** @description Approved connections to places that are only known once they are lent to a turn. */
            left_out: string[];
            /** @description Services of the machine that are. */
            loopback: components["schemas"]["RehearsalPort"][];
            /** @description What is never seen. */
            masked: string[];
            network: string;
            /**
             * Format: int64
             * @description Open files of one process.
             */
            open_files: number;
            /**
             * Format: int64
             * @description Processes and threads; no limit of root's.
             */
            processes: number;
            /** @description Programs that are shown with what they need. */
            programs: string[];
            readable: string[];
            /** @description Those of the two that must not have become links. */
            straight: string[];
            /**
             * Format: int32
             * @description The user of the daemon, who runs the turns.
             */
            uid: number;
            /** @description Where it works; null: in a directory of its conversation. */
            workspace: string | null;
            writable: string[];
        };
        /** @description What was found when the sandbox was tried out. */
        SandboxProbe: {
            /** @description Version of bubblewrap. */
            bwrap: string | null;
            /**
             * Format: int32
             * @description Version of the kernel's Landlock interface; 0 when there is none.
             */
            landlock_abi: number;
            /** @description Whether turns are run. */
            ok: boolean;
            /** @description What failed, and what to do. */
            problem?: string | null;
            /** @description Whether the filter of system calls is in force. */
            seccomp: boolean;
            /** @description Whether an unprivileged user can make namespaces. */
            userns: boolean;
        };
        /** @description A setting that counts, and who says so. */
        SandboxSetting: {
            from: components["schemas"]["SandboxSource"];
            /** @description `workspace` or `full`; `open`, `proxied` or `restricted`. */
            value: string;
        };
        /** @description Whether the credential of Claude Code stays outside. */
        SandboxShield: {
            from: components["schemas"]["SandboxSource"];
            /** @description Why turns would be refused now, and what to do: the credential that there is cannot stay outside. */
            problem?: string | null;
            /** @description With true, turns have a placeholder, and the daemon adds the credential to their requests. */
            value: boolean;
        };
        /**
         * @description Where a setting comes from.
         * @enum {string}
         */
        SandboxSource: "definition" | "configuration" | "default";
        /** @description What turns are kept from. */
        SandboxSummary: {
            /** @description Whether a turn is kept from anything at all. */
            confined: boolean;
            /** @description One sentence that says what a turn can do. */
            detail: string;
            /** @description Tables in `[sandbox.agents]` whose agents are not there, once all vaults have been read. */
            idle_tables: string[];
            /** @description What one turn may take of the machine. */
            limits: components["schemas"]["SandboxLimits"];
            /** @description Agents that get less than their definitions ask for. */
            lowered: string[];
            /** @description Name of the policy: `none` confines nothing. */
            mode: string;
        };
        /** @description What one of the last turns has tried to reach through the daemon. */
        SandboxTurn: {
            connections: components["schemas"]["EgressCount"][];
            /** Format: date-time */
            since_at: string;
            /** Format: uuid */
            turn: string;
        };
        /** @description A message that is stored. */
        SentMessage: {
            /** @description Its note. */
            id: string;
            ok: boolean;
            /** @description Why the agent's messages wait, in a line; null when they do not. */
            paused?: string | null;
            /** @description How many sessions got it, on an http-ui channel without an agent: then it is kept nowhere. */
            told?: number | null;
            /** @description The turn that answers it; null when the queue has not got it yet, which it will. */
            turn: string | null;
            vault: string;
        };
        /** @description Who is let in. */
        Session: {
            limits: components["schemas"]["SessionLimits"];
            signed_in: boolean;
            /** @description By what. */
            via: components["schemas"]["SignedInBy"];
        };
        /** @description How much is taken. */
        SessionLimits: {
            /**
             * Format: int64
             * @description Bytes of a request that sends a message.
             */
            message_bytes: number;
            /**
             * Format: int64
             * @description Bytes of a file, in the vault where most are allowed.
             */
            upload_bytes: number;
        };
        /** @description Whether a browser is signed in. */
        SignedIn: {
            signed_in: boolean;
        };
        /**
         * @description What lets a caller in.
         * @enum {string}
         */
        SignedInBy: "token" | "link" | "hub";
        /** @description What a sign-in link holds. */
        SignIn: {
            /** @description The part behind `#sign-in=`. */
            code: string;
        };
        /** @description A link that signs a browser in. */
        SignInLink: {
            url: string;
        };
        /** @description What the turns of the last days took. Messages that were withdrawn in line are no turns. */
        Statistics: {
            /** @description Those that had any, by name; also those that are no more. */
            agents: components["schemas"]["AgentStatistics"][];
            /** @description The oldest first, also those without any turn. */
            days: components["schemas"]["DayStatistics"][];
            zone: string;
        };
        /** @description What was locked. */
        StepUpLocked: {
            /** @description Tokens that have ended by it. */
            ended: number;
            locked: boolean;
        };
        /** @description A PIN. */
        StepUpShown: {
            pin: string;
        };
        /** @description Whether there is a PIN. */
        StepUpState: {
            /** @description One that nobody can read is there. */
            configured: boolean;
            /** @description Why nobody can show it. */
            problem?: string | null;
            /** @description Dangerous things are not done without one. */
            required: boolean;
        };
        /** @description What a right PIN is good for. */
        StepUpToken: {
            /** Format: date-time */
            expires_at: string;
            /** @description For the header `X-Step-Up-Token`. */
            stepUpToken: string;
        };
        /** @description A file that is stored and that no note has yet. */
        StoredFileBody: {
            filename: string;
            mimeType: string;
            path: string;
            /** Format: int64 */
            size: number;
        };
        /** @description A tag. */
        TagBody: {
            /**
             * Format: int64
             * @description Notes that carry it.
             */
            count: number;
            /** @description With `include_schema`, and of a single tag: what it means. */
            description?: string | null;
            /** @description The same: its fields. */
            fields?: {
                [key: string]: unknown;
            } | null;
            name: string;
            /** @description The same: the tags that it is a kind of. */
            parent_names?: string[] | null;
        };
        /** @description Notes with a tag. */
        TagCount: {
            /** Format: int64 */
            count: number;
            tag: string;
        };
        /** @description A tag that is gone. */
        TagDeleted: {
            deleted: boolean;
            /** Format: int64 */
            notes_untagged: number;
        };
        /** @description Tags that become one. */
        TagMerge: {
            sources: string[];
            target: string;
        };
        /** @description Tags that became one, with how many notes had each. */
        TagMerged: {
            merged: {
                [key: string]: number;
            };
            target: string;
        };
        /** @description What a tag means. What is not named stays as it is. */
        TagPut: {
            description?: string | null;
            fields?: {
                [key: string]: unknown;
            } | null;
            parent_names?: string[] | null;
        };
        /** @description What a tag means now. */
        TagPutDone: {
            description: string | null;
            fields: {
                [key: string]: unknown;
            } | null;
            parent_names: string[] | null;
            tag: string;
        };
        /** @description Another name for a tag. */
        TagRename: {
            new_name: string;
        };
        /** @description How many notes have the tag by its new name. */
        TagRenamed: {
            /** Format: int64 */
            renamed: number;
        };
        /** @description Tags, or one by `?tag=`. */
        TagsBody: components["schemas"]["TagBody"][] | components["schemas"]["TagBody"];
        /** @description Tags that come and go. Of a note that is created because it is missing it may be a list. */
        TagsChange: {
            add?: string[] | null;
            remove?: string[] | null;
        };
        /** @description A file of a message. */
        TakenFile: {
            /** @description Its media type. */
            mime_type: string;
            /** @description What its sender calls it. */
            name: string;
            /**
             * Format: int64
             * @description Bytes.
             */
            size: number;
            /** @description Where the daemon gives it out, to who may read the vault. */
            url: string;
        };
        /** @description A message that a session has taken. */
        TakenMessage: {
            /** @description Files that it brings. */
            attachments: components["schemas"]["TakenFile"][];
            /** @description Names this claim among all that the message had. */
            claim: string;
            /**
             * Format: date-time
             * @description When the claim ends unless it is renewed.
             */
            ends_at: string;
            /** @description The inbound note. */
            id: string;
            /** @description To be given back with the reply; the same as `id`. */
            inReplyTo: string;
            /** @description What should be known: what could not be read. */
            notices?: string[];
            /** @description The agent that is told the outcome. */
            reply_to?: string | null;
            /** @description Who wrote it. */
            sender: string;
            /** @description What its conversation is about. */
            subject?: string | null;
            /** @description Who the agent is; to be adopted for this message. */
            systemPrompt: string | null;
            /** @description What is to be done: the message, and those that share its turn. */
            text: string;
            /**
             * Format: uuid
             * @description Its conversation.
             */
            thread: string;
            /**
             * Format: uuid
             * @description The turn.
             */
            turn: string;
        };
        /** @description How a message is asked for. */
        TakeRequest: {
            /**
             * Format: int64
             * @description Seconds that the request may wait for a message.
             */
            wait?: number;
        };
        /**
         * @description What a person changes of a conversation.
         * @example {
         *       "title": "The launch"
         *     }
         */
        ThreadChange: {
            /** @description Puts it away, or back. */
            archived?: boolean | null;
            /** @description Its name; null takes it away. */
            title?: string | null;
        };
        /** @description Which conversation of its agent. */
        ThreadKey: {
            /** @enum {string} */
            kind: "main";
        } | {
            /** @description The one of this subject. */
            key: string;
            /** @enum {string} */
            kind: "subject";
        } | {
            /** @description One of a single message, named by it. */
            key: string;
            /** @enum {string} */
            kind: "single";
        };
        /** @description Conversations of an agent. */
        ThreadList: {
            /**
             * Format: uuid
             * @description For `cursor`; null on the last page.
             */
            next_cursor: string | null;
            threads: components["schemas"]["Conversation"][];
        };
        /**
         * @description How a conversation stands.
         * @enum {string}
         */
        ThreadState: "idle" | "working" | "queued" | "error";
        /** @description A ticket for a stream. */
        Ticket: {
            /** Format: date-time */
            expires_at: string;
            /** @description For the parameter `ticket` of the stream. */
            ticket: string;
        };
        /** @description Which stream a ticket is to open. */
        TicketAsked: {
            /**
             * @description Its path, and its choice of channels; without it any one stream.
             * @example /api/events?channels=eng
             */
            path?: string | null;
        };
        /** @description A token, without its text. */
        Token: {
            created_at: string;
            /** @description Null: never by itself. */
            expires_at?: string | null;
            id: string;
            label?: string | null;
            /** @description Null: never. */
            last_used_at?: string | null;
            /** @description The token that it was made with, and is revoked with. Null: the operator made it. */
            made_by?: string | null;
            /** @description Null: it is not limited to tags. */
            scoped_tags?: string[] | null;
            scopes: string[];
        };
        /** @description Tokens. */
        TokenList: {
            tokens: components["schemas"]["Token"][];
        };
        /** @description A token with its text. */
        TokenMade: components["schemas"]["Token"] & {
            /** @description The token. This is the only time that it is shown. */
            token: string;
        };
        /** @description What was revoked. */
        TokenRevoked: {
            id: string;
            revoked: boolean;
        };
        /** @description How a trigger tells its receiver. */
        TriggerAction: {
            auth?: components["schemas"]["TriggerAuth"] | null;
            /** @description Always `json`. */
            send?: string | null;
            /**
             * Format: int64
             * @description Milliseconds that the receiver may take.
             */
            timeout?: number | null;
            webhook: string;
        };
        /** @description What a trigger shows its receiver. Answers do not have the text. */
        TriggerAuth: {
            bearer?: string | null;
        };
        /** @description A trigger. */
        TriggerBody: {
            action: components["schemas"]["TriggerAction"];
            createdAt: string;
            /**
             * Format: int64
             * @description Deliveries that were given up.
             */
            dead: number;
            enabled: boolean;
            events: string[];
            name: string;
            /** @description The signing secret, when it is new. */
            secret?: string | null;
            /** @description `enabled`, `disabled`, or why it was stopped. */
            state: string;
            updatedAt: string;
            /**
             * Format: int64
             * @description Deliveries that wait.
             */
            waiting: number;
            when: components["schemas"]["TriggerWhen"];
        };
        /** @description A trigger that is gone. */
        TriggerDeleted: {
            deleted: boolean;
            name: string;
        };
        /** @description Lets a trigger run or pause. */
        TriggerEnable: {
            enabled: boolean;
        };
        /** @description Triggers of a vault. */
        TriggersBody: {
            triggers: components["schemas"]["TriggerBody"][];
        };
        /** @description Which notes a trigger is about. */
        TriggerWhen: {
            has_content?: boolean | null;
            has_metadata?: string[] | null;
            missing_metadata?: string[] | null;
            tags?: string[] | null;
        };
        /** @description A turn as listings show it. */
        Turn: {
            /** Format: date-time */
            accepted_at: string;
            /** @description The first message of all that led here. */
            chain: string;
            channel: string;
            /** @description What it has handed on itself. In answers to changes of the line there is nothing. */
            children: components["schemas"]["TurnChild"][];
            /**
             * Format: date-time
             * @description When that ends unless it is renewed.
             */
            claim_ends_at: string | null;
            /** Format: date-time */
            claimed_at: string | null;
            /** @description Who has taken it from outside. */
            claimed_by: string | null;
            /** Format: double */
            cost_usd: number;
            delegated_by: components["schemas"]["TurnParent"] | null;
            /**
             * Format: int32
             * @description How often the work was handed on before.
             */
            delegation_depth: number | null;
            /**
             * Format: int64
             * @description From its last claim to its end.
             */
            duration_ms: number | null;
            /** @description What it has tried to reach through the daemon, which counts this where the agent has a network of its own. */
            egress?: components["schemas"]["EgressCount"][] | null;
            /** @description Who ended it before its turn. */
            ended_by?: string | null;
            error?: components["schemas"]["TurnFailure"] | null;
            /** @description A person holds it back. */
            held: boolean;
            /**
             * Format: int32
             * @description How often it was begun and cut off.
             */
            interruptions: number;
            /** @description The note of its message. */
            message: string;
            mode: components["schemas"]["MessageMode"];
            /** @description The model of its conversation. */
            model: string | null;
            /** @description What a person should know, such as a lost session. */
            notices?: string[] | null;
            /**
             * Format: uuid
             * @description The turn that its message became a part of.
             */
            part_of: string | null;
            /** @description Turns that go before it in its conversation, in answers about the line. */
            position?: number | null;
            /** @description Who wrote it. */
            sender: string | null;
            /** Format: date-time */
            settled_at: string | null;
            state: components["schemas"]["TurnState"];
            /** @description What the conversation is called, when it has a name. */
            subject: string | null;
            /** @description What the message says; a listing has its beginning. Null when it cannot be read. */
            text: string | null;
            /**
             * Format: uuid
             * @description Its conversation.
             */
            thread: string;
            /** Format: uuid */
            turn: string;
            usage: components["schemas"]["TurnUsage"];
            vault: string;
        };
        /** @description A turn that was handed work by another one. */
        TurnChild: {
            agent: string;
            /** Format: double */
            cost_usd: number;
            state: components["schemas"]["TurnState"];
            /** Format: uuid */
            turn: string;
        };
        /** @description How turns ended. */
        TurnCounts: {
            /** Format: int64 */
            cancelled: number;
            /** Format: int64 */
            error: number;
            /** Format: int64 */
            interrupted: number;
            /** Format: int64 */
            ok: number;
        };
        /** @description A turn with everything that is kept of it. */
        TurnDetail: components["schemas"]["Turn"] & {
            /** @description The models that it used. */
            models: string[];
            /** @description The note of its answer. */
            note: string | null;
            /** @description The answer. */
            reply?: string | null;
            /** @description The session that it ran in. */
            session: string | null;
            /** @description It has something left to do that the vault has not taken yet. */
            undelivered: boolean;
        };
        /** @description Another text for a message. */
        TurnEdit: {
            text: string;
        };
        /** @description A failure as people and programs see it. */
        TurnFailure: {
            /** @description Stable code. */
            code: string;
            /** @description What happened. */
            message: string;
            /** @description What to do. */
            next_step: string;
            /** @description Whether trying again can help: `retry`, `permanent`, or `operator` who must act first. */
            remedy: string;
        };
        /** @description Turns of an agent, a chain or a conversation. */
        TurnList: {
            /** @description For `cursor`; null on the last page. A page can be short or empty and not the last one. */
            next_cursor: string | null;
            turns: components["schemas"]["Turn"][];
        };
        /** @description The turn that handed the work on. */
        TurnParent: {
            agent: string;
            /** Format: uuid */
            turn: string;
        };
        /**
         * @description How a turn stands.
         * @enum {string}
         */
        TurnState: "waiting" | "working" | "joined" | "ok" | "error" | "cancelled" | "interrupted";
        /** @description A tool call as it was. */
        TurnStep: {
            /** @description Its identity, as in the events. */
            id: string;
            /** @description What it was given; text when it is not whole, null when there was nothing. */
            input: unknown;
            /** @description There was more than is kept. */
            input_cut: boolean;
            /** @description The tool. */
            name: string;
            /** @description What it answered; null when it has not, or nothing. */
            output: string | null;
            /** @description The same of the answer. */
            output_cut: boolean;
        };
        /** @description What a turn did. */
        TurnSteps: {
            /** @description It has ended. */
            complete: boolean;
            /** @description Something in the middle was left out because it was too much. */
            cut: boolean;
            /**
             * @description What live events have told, in their order: each has `kind` and `at`, and while the turn runs `seq`. Pieces of a text
             *     are put together, or left out once the whole text has come.
             */
            events: {
                [key: string]: unknown;
            }[];
            /**
             * Format: uuid
             * @description The turn; of a message that shares the turn of another one, that one.
             */
            turn: string;
        };
        /** @description That a turn is going to end. */
        TurnStopping: {
            stopping: boolean;
        };
        /** @description What a turn took. */
        TurnUsage: {
            /** Format: int64 */
            cache_read_tokens: number;
            /** Format: int64 */
            cache_write_tokens: number;
            /**
             * Format: int64
             * @description Cache not counted.
             */
            input_tokens: number;
            /** Format: int64 */
            output_tokens: number;
        };
        /** @description Something that a turn has left to do, without its text: that stays with its turn. */
        UndeliveredEffect: {
            /**
             * Format: int32
             * @description Tries so far.
             */
            attempts: number;
            /** @description The bridge that it goes to. */
            bridge?: string | null;
            channel: string;
            /** @description What is to be written, such as `outbound`; `unknown` when this version does not know it. */
            kind: string;
            last_error: string | null;
            /**
             * Format: date-time
             * @description Null when something has to happen before.
             */
            next_try_at: string | null;
            /**
             * Format: date-time
             * @description When its turn ended.
             */
            since_at: string;
            state: components["schemas"]["UndeliveredState"];
            /** Format: uuid */
            turn: string;
            /** @description Where; null where it goes to a bridge. */
            vault: string | null;
        };
        /** @description What turns have left to do and the vaults have not taken. */
        UndeliveredList: {
            /**
             * Format: int64
             * @description For `cursor`; null on the last page.
             */
            next_cursor: number | null;
            /**
             * Format: int64
             * @description Of all pages.
             */
            total: number;
            undelivered: components["schemas"]["UndeliveredEffect"][];
        };
        /** @description A message that the other side has not got, without its text: that is in its note. */
        UndeliveredMessage: {
            /**
             * Format: int32
             * @description Tries so far.
             */
            attempts: number;
            /** @description Its identity, which begins with that of its note. */
            id: string;
            /** @description The conversation of the other side. */
            lane: string;
            last_error: string | null;
            /**
             * Format: date-time
             * @description Null for what was given up.
             */
            next_try_at: string | null;
            /**
             * Format: date-time
             * @description When the bridge got it.
             */
            since_at: string;
        };
        /** @description What a bridge has not delivered. */
        UndeliveredMessages: {
            messages: components["schemas"]["UndeliveredMessage"][];
            /**
             * Format: int64
             * @description For `cursor`; null on the last page.
             */
            next_cursor: number | null;
        };
        /**
         * @description Whether it goes out by itself.
         * @enum {string}
         */
        UndeliveredState: "waiting" | "parked";
        /** @description A link to a note that is not there. */
        UnresolvedLink: {
            source_id: string;
            source_path: string | null;
            target_path: string;
        };
        /** @description Links to notes that are not there. */
        UnresolvedLinks: {
            /** Format: int64 */
            count: number;
            unresolved: components["schemas"]["UnresolvedLink"][];
        };
        /** @description A vault that was not searched. */
        UnsearchedVault: {
            reason: string;
            vault: string;
        };
        /** @description A form with a file. */
        UploadForm: {
            file: string;
        };
        /** @description What a vault can do beyond what every kind can. */
        VaultCapabilities: {
            /** @description Several new notes are written all or none. */
            atomic_batches: boolean;
            /** @description Notes have links. */
            links: boolean;
            /** @description Listings are narrowed by conditions on metadata fields, by dates, and by whether there are tags. */
            operators: boolean;
            /** @description Listings have other orders than the time of creation. */
            order_by: boolean;
            /** @description A metadata key can be taken away. */
            remove_metadata: boolean;
            /** @description The text of notes can be searched. */
            search: boolean;
            /** @description A tag can be a kind of another one. */
            tag_parents: boolean;
            /** @description Tags have descriptions and fields. */
            tag_schemas: boolean;
            /** @description It tells others of writes. */
            triggers: boolean;
            /** @description A note can be without a path. */
            without_path: boolean;
        };
        /** @description What can be set of a vault. */
        VaultConfig: {
            /** @description Always `keep`. */
            audio_retention?: string | null;
        };
        /** @description How a breaker stands, for people. */
        VaultDeliveries: {
            /** @description Why it is not closed. */
            last_error?: string | null;
            /** @description `closed`, `open` or `probing`. */
            state: string;
            /**
             * Format: date-time
             * @description End of the pause.
             */
            until_at?: string | null;
        };
        /** @description How a vault stands. */
        VaultHealth: {
            capabilities: components["schemas"]["VaultCapabilities"];
            /** @description New agents and messages go there unless asked otherwise. */
            default: boolean;
            deliveries: components["schemas"]["VaultDeliveries"] | null;
            kind: components["schemas"]["VaultKind"];
            name: string;
            /** @description What is wrong and what to do. */
            reason?: string | null;
            /** Format: date-time */
            since?: string | null;
            state: components["schemas"]["VaultState"];
        };
        /** @description What is read of a hint. */
        VaultHint: {
            note: components["schemas"]["VaultHintNote"];
            vault?: string | null;
        };
        /** @description A note. */
        VaultHintNote: {
            id: string;
        };
        /** @description That a vault can be read. */
        VaultIsWell: {
            status: string;
            vault: string;
        };
        /**
         * @description Where the notes of a vault are.
         * @enum {string}
         */
        VaultKind: "embedded" | "parachute" | "folder";
        /** @description Vaults. */
        VaultList: {
            vaults: components["schemas"]["VaultSummary"][];
        };
        /** @description Names of vaults. */
        VaultNames: {
            vaults: string[];
        };
        /** @description A change of the settings of a vault. */
        VaultPatch: {
            config?: components["schemas"]["VaultConfig"] | null;
            /** @description Null takes it away. */
            description?: string | null;
        };
        /** @description Where a vault is. */
        VaultPlace: {
            name: string;
            url: string;
        };
        /** @description Settings of a vault. */
        VaultSettings: {
            config: components["schemas"]["VaultConfig"];
            description: string | null;
            name: string;
            stats?: components["schemas"]["VaultStats"] | null;
        };
        /**
         * @description Whether a vault can be used.
         * @enum {string}
         */
        VaultState: "ready" | "degraded" | "unavailable";
        /** @description Numbers about a vault. */
        VaultStats: {
            earliestNote: components["schemas"]["NoteMoment"] | null;
            latestNote: components["schemas"]["NoteMoment"] | null;
            /** Format: int64 */
            linkCount: number;
            notesByMonth: components["schemas"]["MonthCount"][];
            /** Format: int64 */
            tagCount: number;
            topTags: components["schemas"]["TagCount"][];
            /** Format: int64 */
            totalNotes: number;
        };
        /** @description A vault. */
        VaultSummary: {
            kind: components["schemas"]["VaultKind"];
            name: string;
        };
        /** @description A token of a vault, without its text. */
        VaultToken: {
            created_at: string;
            expires_at: string | null;
            id: string;
            label: string | null;
            last_used_at: string | null;
            /** @description What its maker should know: only there, too. */
            notice?: string | null;
            /** @description `full` or `read`. */
            permission: string;
            /** @description Null: it sees all notes. */
            scoped_tags: string[] | null;
            scopes: string[];
            /** @description Its text: only in the answer to the request that makes it. */
            token?: string | null;
        };
        /** @description A token that does not hold any more. */
        VaultTokenRevoked: {
            id: string;
            /** @description Whether there was one. */
            known: boolean;
            revoked: boolean;
        };
        /** @description Tokens of a vault. */
        VaultTokens: {
            tokens: components["schemas"]["VaultToken"][];
        };
        /** @description Messages for a name that no agent has. */
        WaitingMessages: {
            channel: string;
            /** Format: int64 */
            messages: number;
        };
        /** @description A webhook, without its secrets. */
        Webhook: {
            /** @description Of which agents; empty: of all. */
            agents: string[];
            allow: components["schemas"]["WebhookAllow"];
            /** @description It stands in the configuration file, and is changed there alone. */
            configured: boolean;
            /**
             * Format: int64
             * @description What was given up for room since the start: batches of live events, and what waited too long for one that is paused.
             */
            dropped: number;
            /** @description Why it does not work. */
            error: string | null;
            /** @description What is told; empty: everything that the profile has. */
            events: string[];
            /**
             * Format: int64
             * @description Calls that failed since the start.
             */
            failed: number;
            /**
             * Format: int32
             * @description Seconds between heartbeats of a running turn, 0 for none; null: 15 for `supervisor`, else none.
             */
            heartbeat: number | null;
            name: string;
            /**
             * Format: date-time
             * @description When it tries again.
             */
            next_try_at: string | null;
            profile: components["schemas"]["WebhookProfile"];
            /** @description How many secrets it has: 2 while one replaces another. */
            secrets: number;
            /**
             * Format: int64
             * @description Calls that succeeded since the start.
             */
            sent: number;
            /** @description `starting`, `up`, `retrying`, `refused` (nothing is sent until somebody looks) or `paused`. */
            state: string;
            /**
             * Format: date-time
             * @description When a call last succeeded, since the start of the daemon.
             */
            success_at: string | null;
            /**
             * Format: int64
             * @description What was given up and is kept: `GET /api/bridges/webhook%2FNAME/undelivered`.
             */
            undelivered: number | null;
            url: string;
            /**
             * Format: int64
             * @description What it has to tell; null when it cannot be counted.
             */
            waiting: number | null;
        };
        /** @description Where else than to public addresses with https. */
        WebhookAllow: {
            /**
             * @description These networks, whatever they are, such as `100.64.0.0/10`.
             * @default []
             */
            networks: string[];
            /**
             * @description Public addresses without TLS.
             * @default false
             */
            plain: boolean;
            /**
             * @description This machine and private networks, also without TLS; not link-local ones.
             * @default false
             */
            private: boolean;
        };
        /**
         * @description What is to be another of a webhook; the rest stays. Its profile stays: what waits has that shape.
         * @example {
         *       "events": [
         *         "turn.settled"
         *       ]
         *     }
         */
        WebhookChange: {
            agents?: string[] | null;
            allow?: components["schemas"]["WebhookAllow"] | null;
            events?: string[] | null;
            /**
             * Format: int32
             * @description Null: as the profile has it.
             */
            heartbeat?: number | null;
            url?: string | null;
        };
        /** @description Webhooks. */
        WebhookList: {
            webhooks: components["schemas"]["Webhook"][];
        };
        /** @description A webhook that was made. */
        WebhookMade: components["schemas"]["Webhook"] & {
            /** @description The secret that was made for it. This is the only time that it is shown. */
            secret?: string | null;
        };
        /**
         * @description How calls are signed and shaped.
         * @enum {string}
         */
        WebhookProfile: "standard" | "supervisor";
        /** @description A webhook that is no more. */
        WebhookRemoved: {
            /**
             * Format: int64
             * @description Events that it had not been told of; null: they could not be removed yet, and are at the next start.
             */
            dropped: number | null;
            name: string;
            removed: boolean;
        };
        /** @description Another secret. */
        WebhookRotation: {
            /**
             * @description Makes none: the one before the present one signs no longer.
             * @default false
             */
            end_old: boolean;
            /**
             * @description Made, and shown once, unless given.
             * @default null
             */
            secret: string | null;
        };
        /** @description What a receiver made of a test. */
        WebhookTested: {
            /** @description The receiver has taken it. */
            delivered: boolean;
            /** @description Its `webhook-id`. */
            id: string;
            /** @description What it said, or why it could not be asked. */
            said: string;
            /**
             * Format: int32
             * @description The status that it answered; null: it did not.
             */
            status: number | null;
            /** Format: int64 */
            took_ms: number;
        };
        /** @description The note that was made, or those of a batch. */
        WrittenNotes: components["schemas"]["Note"] | components["schemas"]["Note"][];
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getModuleConfig: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The channels, and the template. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
        };
    };
    getModuleConfigSchema: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The schema. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
        };
    };
    getModuleIcon: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The picture. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "image/svg+xml": string;
                };
            };
            /** @description The one that the client has is the same. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getModule: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What the manifest says, and the version. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
        };
    };
    listAgentDefs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The definitions, without their roles. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentDefList"];
                };
            };
        };
    };
    createAgentDef: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewAgentDef"];
            };
        };
        responses: {
            /** @description The definition. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentDefAnswer"];
                };
            };
        };
    };
    getAgentDef: {
        parameters: {
            query?: {
                /** @description Where notes of several vaults have that identity. */
                vault?: string;
            };
            header?: never;
            path: {
                /** @description The note of the definition. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The definition. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentDefAnswer"];
                };
            };
        };
    };
    removeAgentDef: {
        parameters: {
            query?: {
                /** @description Where notes of several vaults have that identity. */
                vault?: string;
            };
            header?: never;
            path: {
                /** @description The note of the definition. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentDefRemoved"];
                };
            };
        };
    };
    editAgentDef: {
        parameters: {
            query?: {
                /** @description Where notes of several vaults have that identity. */
                vault?: string;
            };
            header?: never;
            path: {
                /** @description The note of the definition. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AgentDefEdit"];
            };
        };
        responses: {
            /** @description The definition as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentDefAnswer"];
                };
            };
        };
    };
    listAgentVaults: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The vaults. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentVaultList"];
                };
            };
        };
    };
    addAgentVault: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewAgentVault"];
            };
        };
        responses: {
            /** @description The vault is open. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentVaultAdded"];
                };
            };
            /** @description The hub minted no token; the status is the hub's, else 502: `mint_refused`. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
        };
    };
    removeAgentVault: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description There is no such vault any more. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentVaultRemoved"];
                };
            };
        };
    };
    listAgents: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All agents, also those whose definition does not hold together. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentList"];
                };
            };
        };
    };
    createAgent: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewAgent"];
            };
        };
        responses: {
            /** @description The agent. Its status is `pending` when its note has not been read yet. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
        };
    };
    getAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The agent. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentDetail"];
                };
            };
        };
    };
    removeAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentRemoved"];
                };
            };
        };
    };
    editAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AgentEdit"];
            };
        };
        responses: {
            /** @description The agent as it is now. Its status is `pending` when its note has not been read yet. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
        };
    };
    getAgentEnv: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. One that is not there has what is stored for its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The names, with their sources. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EffectiveEnv"];
                };
            };
        };
    };
    pauseAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["PauseRequest"] | null;
            };
        };
        responses: {
            /** @description The agent as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
        };
    };
    resetAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ResetRequest"] | null;
            };
        };
        responses: {
            /** @description The sessions are forgotten. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentReset"];
                };
            };
        };
    };
    resumeAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The agent as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
        };
    };
    getAgentSandbox: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What counts for the next turn. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentSandbox"];
                };
            };
        };
    };
    getAgentSandboxPolicy: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What counts for the next turn. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SandboxPolicy"];
                };
            };
        };
    };
    trustAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The agent as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
        };
    };
    validateAgent: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AgentDraft"];
            };
        };
        responses: {
            /** @description The verdict, also on a definition that does not hold together. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentVerdict"];
                };
            };
        };
    };
    listBridges: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description By name. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BridgeList"];
                };
            };
        };
    };
    redriveMessages: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The bridge. */
                bridge: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RedriveRequest"];
            };
        };
        responses: {
            /** @description It is being sent. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RedrivenMessages"];
                };
            };
        };
    };
    listUndeliveredMessages: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the page before. */
                cursor?: number;
                /** @description How many at most; 100 when nothing is said. */
                limit?: number;
                /** @description `waiting` or `undelivered`; the latter unless said. */
                state?: string;
            };
            header?: never;
            path: {
                /** @description The bridge. */
                bridge: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The oldest first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UndeliveredMessages"];
                };
            };
        };
    };
    listChannels: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The channels. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChannelList"];
                };
            };
        };
    };
    addBridge: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewBridge"];
            };
        };
        responses: {
            /** @description It is there. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BridgeAdded"];
                };
            };
        };
    };
    removeBridge: {
        parameters: {
            query?: {
                /** @description `true`: what it has not sent is thrown away, also what an earlier bridge of its name has left. */
                discard?: boolean;
            };
            header?: never;
            path: {
                /** @description The bridge. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is not there any more, or never was. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BridgeRemoved"];
                };
            };
        };
    };
    listMessages: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the page before: older messages. */
                cursor?: string;
                /** @description How many at most; 200 when nothing is said. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description The agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The newest messages, or with a cursor those before. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MessageList"];
                };
            };
        };
    };
    takeMessage: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TakeRequest"] | null;
            };
        };
        responses: {
            /** @description The message, or that there is none. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MaybeMessage"];
                };
            };
        };
    };
    listPendingMessages: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What waits. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PendingMessages"];
                };
            };
        };
    };
    getQueue: {
        parameters: {
            query?: {
                /** @description How many at most. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description The agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The line: 100 turns when nothing is said, 1000 at most. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Queue"];
                };
            };
        };
    };
    releaseMessage: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ClaimedMessage"];
            };
        };
        responses: {
            /** @description It waits. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Released"];
                };
            };
        };
    };
    renewClaim: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ClaimedMessage"];
            };
        };
        responses: {
            /** @description When it ends now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Renewed"];
                };
            };
        };
    };
    replyToMessage: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AttachedReply"];
            };
        };
        responses: {
            /** @description It is safe. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Replied"];
                };
            };
        };
    };
    sendMessage: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The sender's own identity of this message. Sent again with the same key and the same message, nothing is stored again
                 *     and the answer is the first one; with another message it is refused.
                 */
                "Idempotency-Key"?: string | null;
                /**
                 * @description The trace and the span of the sender, as W3C Trace Context has them: what the message leads to is a part of that trace.
                 *     One that cannot be read counts for nothing.
                 * @example 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
                 */
                traceparent?: string | null;
            };
            path: {
                /** @description The agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewMessage"];
            };
        };
        responses: {
            /** @description The message is stored. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SentMessage"];
                };
            };
        };
    };
    listThreads: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description How many at most. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description The agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The conversations; all of them unless a limit is given. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ThreadList"];
                };
            };
        };
    };
    watchChannel: {
        parameters: {
            query?: never;
            header?: {
                /** @description The id of the last event that was seen, of any stream. */
                "last-event-id"?: string | null;
            };
            path: {
                /** @description The agent; it need not be there yet. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A stream without end. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
        };
    };
    listConnections: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The connections. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConnectionList"];
                };
            };
        };
    };
    approveConnection: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ApproveRequest"];
            };
        };
        responses: {
            /** @description It may be used from now on. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConnectionDecision"];
                };
            };
        };
    };
    revokeConnection: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RevokeRequest"];
            };
        };
        responses: {
            /** @description It may not be used any more. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConnectionDecision"];
                };
            };
        };
    };
    getClaudeCredentials: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Names only. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ClaudeCredentials"];
                };
            };
        };
    };
    setClaudeCredential: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ClaudeToken"];
            };
        };
        responses: {
            /** @description It is stored. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialChanged"];
                };
            };
        };
    };
    removeClaudeCredential: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description There is none any more; `removed` says whether there was one. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialChanged"];
                };
            };
        };
    };
    setClaudeCredentialOfAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ClaudeToken"];
            };
        };
        responses: {
            /** @description It is stored. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialChanged"];
                };
            };
        };
    };
    removeClaudeCredentialOfAgent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                channel: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description There is none any more; `removed` says whether there was one. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialChanged"];
                };
            };
        };
    };
    getEnvSecrets: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Names only. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EnvNames"];
                };
            };
        };
    };
    setEnvSecret: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EnvSecret"];
            };
        };
        responses: {
            /** @description It is stored. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialChanged"];
                };
            };
        };
    };
    removeEnvSecret: {
        parameters: {
            query?: {
                /** @description The agent; the layer of all without it. */
                channel?: string;
                /** @description The variable. */
                name?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["EnvRemoval"] | null;
            };
        };
        responses: {
            /** @description There is none any more; `removed` says whether there was one. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CredentialChanged"];
                };
            };
        };
    };
    getReference: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html; charset=utf-8": string;
                };
            };
        };
    };
    getDoctor: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was found, also when something is wrong. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoctorReport"];
                };
            };
        };
    };
    downloadFromChannel: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BridgeDownload"];
            };
        };
        responses: {
            /** @description It is there. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BridgeFile"];
                };
            };
        };
    };
    editOnChannel: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BridgeEdit"];
            };
        };
        responses: {
            /** @description It is changed. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BridgeDone"];
                };
            };
        };
    };
    watchAll: {
        parameters: {
            query?: {
                /** @description Agents, with commas between them; all, when absent. */
                channels?: string;
            };
            header?: {
                /** @description The id of the last event that was seen, of any stream. */
                "last-event-id"?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A stream without end. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
        };
    };
    listJobs: {
        parameters: {
            query?: {
                /** @description The agent. */
                agent?: string;
                /** @description The same. */
                channel?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The jobs. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobList"];
                };
            };
        };
    };
    putJob: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewJob"];
            };
        };
        responses: {
            /** @description The job as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobAnswer"];
                };
            };
        };
    };
    getJob: {
        parameters: {
            query?: {
                /** @description The agent. */
                agent?: string;
                /** @description The same. */
                channel?: string;
            };
            header?: never;
            path: {
                /** @description The job: its id, or its note. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The job. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
        };
    };
    removeJob: {
        parameters: {
            query?: {
                /** @description The agent. */
                agent?: string;
                /** @description The same. */
                channel?: string;
            };
            header?: never;
            path: {
                /** @description The job: its id, or its note. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description There is no such job any more. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobRemoved"];
                };
            };
        };
    };
    editJob: {
        parameters: {
            query?: {
                /** @description The agent. */
                agent?: string;
                /** @description The same. */
                channel?: string;
            };
            header?: never;
            path: {
                /** @description The job: its id, or its note. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["JobEdit"];
            };
        };
        responses: {
            /** @description The job as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobAnswer"];
                };
            };
        };
    };
    pauseJob: {
        parameters: {
            query?: {
                /** @description The agent. */
                agent?: string;
                /** @description The same. */
                channel?: string;
            };
            header?: never;
            path: {
                /** @description The job: its id, or its note. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["JobPauseRequest"] | null;
            };
        };
        responses: {
            /** @description The job as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobAnswer"];
                };
            };
        };
    };
    resumeJob: {
        parameters: {
            query?: {
                /** @description The agent. */
                agent?: string;
                /** @description The same. */
                channel?: string;
            };
            header?: never;
            path: {
                /** @description The job: its id, or its note. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The job as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobAnswer"];
                };
            };
        };
    };
    runJob: {
        parameters: {
            query?: {
                /** @description The agent. */
                agent?: string;
                /** @description The same. */
                channel?: string;
            };
            header?: never;
            path: {
                /** @description The job: its id, or its note. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The message is stored, or why not. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobRan"];
                };
            };
        };
    };
    listJobRuns: {
        parameters: {
            query?: {
                /** @description The agent. */
                agent?: string;
                /** @description The same. */
                channel?: string;
            };
            header?: never;
            path: {
                /** @description The job: its id, or its note. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The occurrences. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobRuns"];
                };
            };
        };
    };
    validateJob: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewJob"];
            };
        };
        responses: {
            /** @description The verdict, also on a job that does not hold together. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobVerdict"];
                };
            };
        };
    };
    getOpenApi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The document. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
        };
    };
    askOnChannel: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BridgePermission"];
            };
        };
        responses: {
            /** @description They are asked. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BridgeSent"];
                };
            };
        };
    };
    reactOnChannel: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BridgeReaction"];
            };
        };
        responses: {
            /** @description It is there. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BridgeDone"];
                };
            };
        };
    };
    replyOnChannel: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BridgeReply"];
            };
        };
        responses: {
            /** @description It is sent. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BridgeSent"];
                };
            };
        };
    };
    getSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The caller is let in. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
        };
    };
    signIn: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SignIn"];
            };
        };
        responses: {
            /** @description It is signed in: the answer sets its cookie. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    signOut: {
        parameters: {
            query?: {
                /** @description Signs every browser out. */
                everywhere?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is signed out: the answer takes its cookie away. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
        };
    };
    createSignInLink: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The link. It works for ten minutes. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignInLink"];
                };
            };
        };
    };
    getStatistics: {
        parameters: {
            query?: {
                /** @description An agent; all, when absent. */
                agent?: string;
                /** @description How many days, the present one included; 14 when absent. */
                days?: number;
                /** @description Name of the zone on whose clock days begin; that of the daemon, when absent. */
                zone?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Every day that was asked for, and who had turns. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Statistics"];
                };
            };
        };
    };
    getStepUp: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How it stands. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StepUpState"];
                };
            };
        };
    };
    stepUp: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StepUpShown"];
            };
        };
        responses: {
            /** @description The token. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StepUpToken"];
                };
            };
        };
    };
    lockStepUp: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They do not work any more. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StepUpLocked"];
                };
            };
        };
    };
    setPin: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PinChange"];
            };
        };
        responses: {
            /** @description It is set, and what was shown before has ended. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PinChanged"];
                };
            };
        };
    };
    clearPin: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description There is none any more. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PinChanged"];
                };
            };
        };
    };
    findThreads: {
        parameters: {
            query?: {
                /** @description Those that are put away, or all; the others when nothing is said. */
                archived?: "false" | "true" | "all";
                /** @description The agent. */
                channel?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description How many at most; 50 when nothing is said. */
                limit?: number;
                /** @description Words of messages and answers. */
                q?: string;
                /** @description Only those. */
                state?: components["schemas"]["ThreadState"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The conversations. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FoundThreads"];
                };
            };
        };
    };
    editThread: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The conversation. */
                thread: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ThreadChange"];
            };
        };
        responses: {
            /** @description The conversation as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Conversation"];
                };
            };
        };
    };
    listTokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tokens, in the order in which they were made. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenList"];
                };
            };
        };
    };
    createToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewToken"];
            };
        };
        responses: {
            /** @description The token. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenMade"];
                };
            };
        };
    };
    revokeToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id, as the list shows it. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It does not work any more. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenRevoked"];
                };
            };
        };
    };
    listTurns: {
        parameters: {
            query?: {
                /** @description The chain of hand-overs. */
                chain?: string;
                /** @description The agent. */
                channel?: string;
                /** @description `next_cursor` of the page before. */
                cursor?: string;
                /** @description How many at most; 50 when nothing is said. */
                limit?: number;
                /** @description Only those. */
                state?: components["schemas"]["TurnState"];
                /** @description The conversation. */
                thread?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The turns. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TurnList"];
                };
            };
        };
    };
    getTurn: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The turn. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TurnDetail"];
                };
            };
        };
    };
    editTurn: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TurnEdit"];
            };
        };
        responses: {
            /** @description The turn as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Turn"];
                };
            };
        };
    };
    cancelTurn: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["CancelRequest"] | null;
            };
        };
        responses: {
            /** @description The turn as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Turn"];
                };
            };
        };
    };
    holdTurn: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The turn as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Turn"];
                };
            };
        };
    };
    moveTurn: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MoveRequest"];
            };
        };
        responses: {
            /** @description The turn as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Turn"];
                };
            };
        };
    };
    releaseTurn: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The turn as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Turn"];
                };
            };
        };
    };
    resendTurn: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description The sender's own identity of this message. Sent again with the same key and the same message, nothing is stored again
                 *     and the answer is the first one; with another message it is refused.
                 */
                "Idempotency-Key"?: string | null;
            };
            path: {
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ResendRequest"] | null;
            };
        };
        responses: {
            /** @description The new message is stored. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SentMessage"];
                };
            };
        };
    };
    listSteps: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What it did. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TurnSteps"];
                };
            };
        };
    };
    getStep: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description `id` of the call in the turn's events. */
                step: string;
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The call. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TurnStep"];
                };
            };
        };
    };
    stopTurn: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The turn: its identity, or six digits and more of its beginning or end. */
                turn: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is being stopped. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TurnStopping"];
                };
            };
        };
    };
    createTicket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TicketAsked"] | null;
            };
        };
        responses: {
            /** @description The ticket. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ticket"];
                };
            };
        };
    };
    listUndelivered: {
        parameters: {
            query?: {
                /** @description `next_cursor` of the page before. */
                cursor?: number;
                /** @description How many at most; 100 when nothing is said. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The oldest first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UndeliveredList"];
                };
            };
        };
    };
    retryUndelivered: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RetryRequest"];
            };
        };
        responses: {
            /** @description It is being tried. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Retried"];
                };
            };
        };
    };
    hintAgentDef: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DefinitionHint"];
            };
        };
        responses: {
            /** @description It was looked there. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HintTaken"];
                };
            };
        };
    };
    hintAgentThread: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DefinitionHint"];
            };
        };
        responses: {
            /** @description It was looked there. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HintTaken"];
                };
            };
        };
    };
    hintInbound: {
        parameters: {
            query?: {
                /** @description Where the oldest do. */
                secret?: string;
            };
            header?: {
                /** @description Where older servers show the secret. */
                "X-Channel-Webhook-Secret"?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["VaultHint"];
            };
        };
        responses: {
            /** @description The queue has what there is. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Nothing"];
                };
            };
        };
    };
    hintRole: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DefinitionHint"];
            };
        };
        responses: {
            /** @description It was looked there. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HintTaken"];
                };
            };
        };
    };
    backUpVault: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BackupRequest"];
            };
        };
        responses: {
            /** @description The copy is whole. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Backup"];
                };
            };
        };
    };
    listWebhooks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Those of the configuration first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookList"];
                };
            };
        };
    };
    createWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewWebhook"];
            };
        };
        responses: {
            /** @description It is made. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookMade"];
                };
            };
        };
    };
    getWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The webhook, without its secrets. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    removeWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Nothing more is told. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookRemoved"];
                };
            };
        };
    };
    editWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookChange"];
            };
        };
        responses: {
            /** @description The webhook as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    pauseWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Nothing is sent. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    resumeWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What waits goes out. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    rotateWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["WebhookRotation"] | null;
            };
        };
        responses: {
            /** @description It signs from the next call on. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookMade"];
                };
            };
        };
    };
    testWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What the receiver said, also when it refused. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookTested"];
                };
            };
        };
    };
    getAuthStatus: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuthStatus"];
                };
            };
        };
    };
    listenToChannel: {
        parameters: {
            query?: {
                /** @description The channel. */
                channel?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A stream without end. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It serves, and says whether all is well. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
    callHook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The hook. */
                name: string;
            };
            cookie?: never;
        };
        /** @description JSON, signed as the hook says: Standard Webhooks, or X-Hub-Signature-256. */
        requestBody: {
            content: {
                "application/json": unknown;
            };
        };
        responses: {
            /** @description The message is stored, or the call is not for the agent. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HookTaken"];
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All figures. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/openmetrics-text; version=1.0.0; charset=utf-8": string;
                    "text/plain; version=0.0.4; charset=utf-8": string;
                };
            };
        };
    };
    getReady: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Turns begin. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ready"];
                };
            };
        };
    };
    listenAsPage: {
        parameters: {
            query?: {
                /** @description The channel. */
                channel?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A stream. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
        };
    };
    getVault: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The vault. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AboutVault"];
                };
            };
        };
    };
    findNotePath: {
        parameters: {
            query: {
                /** @description Links at most; 5 when nothing is said, 20 at most. */
                max_depth?: number;
                /** @description Id or path of a note. */
                source: string;
                /** @description Id or path of a note. */
                target: string;
            };
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The way. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NotePath"] | null;
                };
            };
        };
    };
    getVaultHealth: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It can. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VaultIsWell"];
                };
            };
        };
    };
    listNotes: {
        parameters: {
            query?: {
                /** @description `X-Next-Cursor` of the page before. */
                cursor?: string;
                date_field?: string;
                date_from?: string;
                date_to?: string;
                exclude_tag?: string;
                /** @description What the text links to stands in it. */
                expand_links?: boolean;
                /** @description `graph`. */
                format?: string;
                has_links?: boolean;
                has_tags?: boolean;
                /** @description One note instead of a list. */
                id?: string;
                include_attachments?: boolean;
                /** @description The text. */
                include_content?: boolean;
                include_links?: boolean;
                /** @description `true`, `false`, or a comma list of keys. */
                include_metadata?: string;
                /** @description 50 when nothing is said, 10 000 at most. */
                limit?: number;
                offset?: number;
                order_by?: string;
                path?: string;
                path_prefix?: string;
                search?: string;
                /** @description `asc` or `desc`. */
                sort?: string;
                /** @description Comma list. */
                tag?: string;
                /** @description `any` or `all`. */
                tag_match?: string;
                updated_since?: string;
            };
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The notes. */
            200: {
                headers: {
                    /** @description For `cursor`; absent on the last page. */
                    "X-Next-Cursor"?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Notes"];
                };
            };
        };
    };
    createNotes: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewNotesBody"];
            };
        };
        responses: {
            /** @description What was written. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WrittenNotes"];
                };
            };
        };
    };
    getNote: {
        parameters: {
            query?: {
                /** @description What the text links to stands in it. */
                expand_links?: boolean;
                include_attachments?: boolean;
                /** @description The text. */
                include_content?: boolean;
                include_links?: boolean;
                /** @description `true`, `false`, or a comma list of keys. */
                include_metadata?: string;
            };
            header?: never;
            path: {
                /** @description Id or path of the note; a path as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The note. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Note"];
                };
            };
        };
    };
    deleteNote: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or path of the note; a path as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NoteDeleted"];
                };
            };
        };
    };
    patchNote: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or path of the note; a path as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NotePatch"];
            };
        };
        responses: {
            /** @description The note as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Note"];
                };
            };
            /** @description The note that was missing. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Note"];
                };
            };
        };
    };
    listAttachments: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or path of the note; a path as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The files. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NoteAttachment"][];
                };
            };
        };
    };
    attachFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id or path of the note; a path as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewAttachmentBody"];
            };
        };
        responses: {
            /** @description The file of the note. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NoteAttachment"];
                };
            };
        };
    };
    detachFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the file, as the list has it. */
                id: string;
                /** @description Id or path of the note; a path as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file is taken from the note. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    downloadFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Path of the file, as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "*/*": number[];
                };
            };
        };
    };
    uploadFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["UploadForm"];
            };
        };
        responses: {
            /** @description The file is stored. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StoredFileBody"];
                };
            };
        };
    };
    listTags: {
        parameters: {
            query?: {
                /** @description Also what they mean. */
                include_schema?: boolean;
                /** @description Only that one. */
                tag?: string;
            };
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tags. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TagsBody"];
                };
            };
        };
    };
    getTag: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tag, as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tag. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TagBody"];
                };
            };
        };
    };
    putTag: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tag, as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TagPut"];
            };
        };
        responses: {
            /** @description What it means now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TagPutDone"];
                };
            };
        };
    };
    deleteTag: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tag, as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description No note carries it any more. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TagDeleted"];
                };
            };
        };
    };
    renameTag: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The tag, as one encoded segment. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TagRename"];
            };
        };
        responses: {
            /** @description It has its new name. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TagRenamed"];
                };
            };
        };
    };
    mergeTags: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TagMerge"];
            };
        };
        responses: {
            /** @description They are one. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TagMerged"];
                };
            };
        };
    };
    listTriggers: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The triggers. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TriggersBody"];
                };
            };
        };
    };
    putTrigger: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewTriggerBody"];
            };
        };
        responses: {
            /** @description The trigger as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TriggerBody"];
                };
            };
            /** @description The new trigger. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TriggerBody"];
                };
            };
        };
    };
    getTrigger: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the trigger. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The trigger. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TriggerBody"];
                };
            };
        };
    };
    removeTrigger: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the trigger. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TriggerDeleted"];
                };
            };
        };
    };
    enableTrigger: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the trigger. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TriggerEnable"];
            };
        };
        responses: {
            /** @description The trigger as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TriggerBody"];
                };
            };
        };
    };
    listDeliveries: {
        parameters: {
            query?: {
                /** @description `next` of the page before. */
                before?: number;
                limit?: number;
                /** @description `waiting`, `delivered` or `dead`. */
                state?: string;
            };
            header?: never;
            path: {
                /** @description Name of the trigger. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The deliveries. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeliveriesBody"];
                };
            };
        };
    };
    redriveTrigger: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Name of the trigger. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["RedriveBody"] | null;
            };
        };
        responses: {
            /** @description How many. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Redriven"];
                };
            };
        };
    };
    listUnresolvedLinks: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The links. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UnresolvedLinks"];
                };
            };
        };
    };
    getVaultSettings: {
        parameters: {
            query?: {
                /** @description Numbers about it too. */
                include_stats?: boolean;
            };
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The settings. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VaultSettings"];
                };
            };
        };
    };
    patchVaultSettings: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["VaultPatch"];
            };
        };
        responses: {
            /** @description The settings as they are now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VaultSettings"];
                };
            };
        };
    };
    listVaultTokens: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The tokens, without their texts. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VaultTokens"];
                };
            };
        };
    };
    createVaultToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewVaultToken"] | null;
            };
        };
        responses: {
            /** @description The token with its text, which is shown only now. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VaultToken"];
                };
            };
        };
    };
    revokeVaultToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the token. */
                key: string;
                /** @description The vault. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It does not hold any more. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VaultTokenRevoked"];
                };
            };
        };
    };
    listVaults: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The vaults. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VaultList"];
                };
            };
        };
    };
    listVaultNames: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The names. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VaultNames"];
                };
            };
        };
    };
}
