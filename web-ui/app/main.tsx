import { render } from "preact";
import { App } from "./components/App";
import { startConversations } from "./conversation";
import { startEvents } from "./events";
import { start } from "./store";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/conversation.css";
import "./styles/steps.css";
import "./styles/agent.css";
import "./styles/forms.css";

const root = document.getElementById("app");
if (root) {
  startEvents();
  startConversations();
  render(<App />, root);
  void start();
}
