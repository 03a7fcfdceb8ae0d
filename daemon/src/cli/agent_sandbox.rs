//! The part of `reveille agent show` that says what an agent may reach.

use serde_json::Value;

use super::agent_show::{list_of, shown};
use super::output::{out, safe, text};

/// What the daemon answered; null: nothing.
pub(super) fn show(sandbox: &Value) {
    if !sandbox.is_object() {
        return;
    }
    out!("\nsandbox");
    if sandbox["confined"] == false {
        out!("  not confined: nothing is kept from this agent");
        return;
    }
    for key in ["filesystem", "network"] {
        let setting = &sandbox[key];
        out!("  {key:17} {}  ({})", shown(&setting["value"]), text(&setting["from"]));
    }
    for key in ["workspace", "egress", "read"] {
        match &sandbox[key] {
            Value::Null => {}
            Value::Array(list) if list.is_empty() => {}
            value => out!("  {key:17} {}", shown(value)),
        }
    }
    for mount in list_of(&sandbox["mounts"]) {
        out!(
            "  {:17} {} ({})",
            "mount",
            safe(&text(&mount["path"])),
            text(&mount["mode"])
        );
    }
    let shield = &sandbox["shield"];
    if shield["value"] == true {
        out!(
            "  {:17} the credential stays outside  ({})",
            "shield",
            text(&shield["from"])
        );
        if shield["problem"].is_string() {
            out!("  {:17} {}", "", safe(&text(&shield["problem"])));
        }
    }
    for one in list_of(&sandbox["lowered"]) {
        let [key, asked, got, reason] = ["key", "asked", "got", "reason"].map(|key| safe(&text(&one[key])));
        out!("  {:17} {key} {asked} is {got}: {reason}", "not as asked");
    }
    // The last turn alone: the others are there with --json.
    for one in list_of(&sandbox["turns"])
        .take(1)
        .flat_map(|turn| list_of(&turn["connections"]))
    {
        let place = format!("{}:{}", safe(&text(&one["host"])), one["port"]);
        out!(
            "  {:17} {place} {} ×{}",
            "connections",
            text(&one["decision"]),
            one["count"]
        );
    }
}
