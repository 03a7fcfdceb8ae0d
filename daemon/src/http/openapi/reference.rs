//! The document as a page for people: plain HTML, without any script.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::complete::METHODS;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}\
code,pre{font-family:ui-monospace,monospace;font-size:.9em}\
h2{margin-top:3rem;border-bottom:1px solid}\
section{margin:2rem 0}\
h3{margin-bottom:.25rem}\
table{border-collapse:collapse;width:100%}\
td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0}\
td:first-child{white-space:nowrap}\
nav li{margin:.1rem 0}";

/// Nothing is loaded from anywhere, nothing runs, and only our own style counts.
pub(super) fn security() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page.
pub(super) fn page(document: &Value) -> String {
    let title = text(&document["info"]["title"]);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}: HTTP interface</title>\n<style>{STYLE}</style>\n<h1>{title}: HTTP interface</h1>\n\
         <p>Version {version}. For programs: <a href=\"openapi.json\">openapi.json</a>.</p>\n",
        version = text(&document["info"]["version"]),
    );
    callers(&mut html, document);
    let groups = groups(document);
    html.push_str("<nav>\n");
    for (tag, operations) in &groups {
        put(&mut html, format_args!("<p>{tag}</p>\n<ul>\n"));
        for one in operations {
            put(
                &mut html,
                format_args!(
                    "<li><a href=\"#{}\">{}</a> {}</li>\n",
                    one.id(),
                    one.address(),
                    text(&one.operation["summary"])
                ),
            );
        }
        html.push_str("</ul>\n");
    }
    html.push_str("</nav>\n");
    for (tag, operations) in &groups {
        put(&mut html, format_args!("<h2>{tag}</h2>\n"));
        operations.iter().for_each(|one| one.show(&mut html));
    }
    html.push_str("<h2>Schemas</h2>\n");
    for (name, schema) in fields(&document["components"]["schemas"]) {
        let name = escaped(name);
        put(
            &mut html,
            format_args!("<section id=\"schema-{name}\"><h3>{name}</h3>\n"),
        );
        described(&mut html, schema);
        shape(&mut html, schema);
        html.push_str("</section>\n");
    }
    html.push_str("</html>\n");
    html
}

fn callers(html: &mut String, document: &Value) {
    html.push_str("<h2>Who asks</h2>\n<table>\n");
    for (name, scheme) in fields(&document["components"]["securitySchemes"]) {
        row(html, &escaped(name), &text(&scheme["description"]));
    }
    html.push_str("</table>\n");
}

/// One operation of the document.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    operation: &'a Value,
}

impl Operation<'_> {
    fn id(&self) -> String {
        text(&self.operation["operationId"])
    }

    fn address(&self) -> String {
        format!("<code>{} {}</code>", self.method.to_uppercase(), escaped(self.path))
    }

    fn show(&self, html: &mut String) {
        put(
            html,
            format_args!("<section id=\"{}\"><h3>{}</h3>\n", self.id(), self.address()),
        );
        put(html, format_args!("<p>{}</p>\n", text(&self.operation["summary"])));
        described(html, self.operation);
        if self
            .operation
            .get("security")
            .is_some_and(|security| security[0] == Value::Object(Map::new()))
        {
            html.push_str("<p>For everybody.</p>\n");
        }
        let parameters = self.operation["parameters"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if !parameters.is_empty() {
            html.push_str("<p>Parameters</p>\n<table>\n");
            for one in parameters {
                let needed = if one["required"] == true { ", needed" } else { "" };
                let name = format!("{} ({}{needed})", text(&one["name"]), text(&one["in"]));
                let what = format!("{} {}", type_of(&one["schema"]), text(&one["description"]));
                row(html, &name, &what);
            }
            html.push_str("</table>\n");
        }
        for (kind, body) in fields(&self.operation["requestBody"]["content"]) {
            put(
                html,
                format_args!("<p>Body, {}: {}</p>\n", escaped(kind), type_of(&body["schema"])),
            );
        }
        html.push_str("<p>Answers</p>\n<table>\n");
        for (status, answer) in fields(&self.operation["responses"]) {
            let bodies = fields(&answer["content"]).map(|(kind, body)| match kind.as_str() {
                "application/json" => type_of(&body["schema"]),
                kind => escaped(kind),
            });
            let bodies: Vec<String> = bodies.collect();
            let what = format!("{} {}", bodies.join(", "), text(&answer["description"]));
            row(html, &escaped(status), &what);
        }
        html.push_str("</table>\n</section>\n");
    }
}

/// The operations by their first tag.
fn groups(document: &Value) -> Vec<(String, Vec<Operation<'_>>)> {
    let mut groups: Vec<(String, Vec<Operation>)> = Vec::new();
    for (path, item) in fields(&document["paths"]) {
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let tag = text(&operation["tags"][0]);
            let one = Operation {
                path,
                method,
                operation,
            };
            match groups.iter_mut().find(|(name, _)| *name == tag) {
                Some((_, group)) => group.push(one),
                None => groups.push((tag, vec![one])),
            }
        }
    }
    groups.sort_by(|(one, _), (other, _)| one.cmp(other));
    groups
}

fn described(html: &mut String, of: &Value) {
    if let Some(description) = of["description"].as_str() {
        put(html, format_args!("<p>{}</p>\n", escaped(description)));
    }
}

/// What a schema consists of.
fn shape(html: &mut String, schema: &Value) {
    let parts = schema["allOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    for part in parts {
        if part.get("$ref").is_some() {
            put(html, format_args!("<p>All of {}, and:</p>\n", type_of(part)));
        }
        shape(html, part);
    }
    let needed = |name: &str| {
        let required = schema["required"].as_array();
        required.is_some_and(|required| required.iter().any(|one| one == name))
    };
    if let Some(properties) = schema["properties"].as_object() {
        html.push_str("<table>\n");
        for (name, property) in properties {
            let mark = if needed(name) { "" } else { " (may be absent)" };
            let what = format!("{} {}", type_of(property), text(&property["description"]));
            row(html, &format!("{}{mark}", escaped(name)), &what);
        }
        html.push_str("</table>\n");
    } else if schema.get("$ref").is_none() && parts.is_empty() {
        put(html, format_args!("<p>{}</p>\n", type_of(schema)));
    }
}

/// A schema in a few words.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
        let name = escaped(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[key].as_array() {
            let all: Vec<String> = all.iter().map(type_of).collect();
            return all.join(if key == "allOf" { " and " } else { " or " });
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .map(|word| format!("<code>{}</code>", text(word)))
            .collect();
        return words.join(" or ");
    }
    let name = match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    };
    if let Some(items) = schema.get("items") {
        return format!("list of {}", type_of(items));
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        return format!("map to {}", type_of(values));
    }
    if let Some(properties) = schema["properties"].as_object() {
        let one = |(name, property): (&String, &Value)| format!("{}: {}", escaped(name), type_of(property));
        let all: Vec<String> = properties.iter().map(one).collect();
        return format!("{{{}}}", all.join(", "));
    }
    escaped(&name)
}

fn row(html: &mut String, first: &str, second: &str) {
    put(html, format_args!("<tr><td>{first}</td><td>{second}</td></tr>\n"));
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text),
        Value::Null => String::new(),
        other => escaped(&other.to_string()),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

fn put(html: &mut String, what: std::fmt::Arguments<'_>) {
    // silent-ok: writing to a string cannot fail.
    let _ = html.write_fmt(what);
}
