import { render } from "preact";
import { App } from "./components/App";
import { startConversations } from "./conversation";
import { startKeys } from "./components/frame/keys";
import { startEvents } from "./events";
import { startTheme } from "./settings";
import { startStepUp } from "./step-up";
import { start } from "./store";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/frame.css";
import "./styles/home.css";
import "./styles/conversation.css";
import "./styles/steps.css";
import "./styles/agent.css";
import "./styles/forms.css";

const root = document.getElementById("app");
if (root) {
  startTheme();
  startStepUp();
  startKeys();
  startEvents();
  startConversations();
  render(<App />, root);
  void start();
}
