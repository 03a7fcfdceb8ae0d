import { render } from "preact";
import { App } from "./components/App";
import { startConversations } from "./conversation";
import { start } from "./store";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/conversation.css";
import "./styles/steps.css";
import "./styles/agent.css";
import "./styles/forms.css";

const root = document.getElementById("app");
if (root) {
  startConversations();
  render(<App />, root);
  void start();
}
