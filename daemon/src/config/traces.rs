//! `[traces]`, and the variables that OpenTelemetry gives to every program. A variable of those that cannot be used is told
//! and left aside: it may be meant for others.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::Url;

/// What follows the address of a collector that takes several signals.
const SIGNAL: &str = "v1/traces";
/// Longest time for one request, unless said.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most spans that wait, most that go at once, and how long the first of those waits: what OpenTelemetry gives everybody.
const QUEUE: usize = 2048;
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(5);
/// Largest of the former, and longest of the latter, that a variable may say.
const QUEUE_MAX: usize = 1 << 17;
const DELAY_MAX: Duration = Duration::from_secs(3600);

/// `[traces]`, as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Written {
    /// The collector, where no variable names one.
    endpoint: Option<String>,
}

/// Which traces go to the collector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    /// What the sender of a message has decided counts.
    pub(crate) parent: bool,
    /// Which share of the others goes, from 0 to 1.
    pub(crate) share: f64,
}

/// Where traces go, and how.
#[derive(Debug, Clone)]
pub(crate) struct Exporter {
    /// The collector.
    pub(crate) url: Uri,
    /// What it is shown besides; secret.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// For one request.
    pub(crate) timeout: Duration,
    /// Whether bodies are compressed.
    pub(crate) gzip: bool,
    /// What is said of this program.
    pub(crate) resource: Vec<(String, String)>,
    /// Which go.
    pub(crate) sampler: Sampler,
    /// Most spans that wait.
    pub(crate) queue: usize,
    /// Most spans that go at once.
    pub(crate) batch: usize,
    /// How long a span waits for others.
    pub(crate) delay: Duration,
}

/// What was said of traces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traces {
    /// `None`: nobody wants them.
    pub(crate) exporter: Option<Exporter>,
    /// What cannot be used of what was said.
    pub(crate) remarks: Vec<String>,
}

/// The variables, and what is wrong with them.
struct Variables<'a> {
    all: &'a BTreeMap<String, String>,
    remarks: Vec<String>,
}

impl Variables<'_> {
    /// A variable that says something.
    fn get(&self, name: &str) -> Option<&str> {
        let text = self.all.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The first of these that says something: its name and its value.
    fn first<'n>(&self, names: [&'n str; 2]) -> Option<(&'n str, String)> {
        let mut found = names
            .into_iter()
            .filter_map(|name| Some((name, self.get(name)?.to_owned())));
        found.next()
    }

    fn remark(&mut self, text: String) {
        self.remarks.push(text);
    }

    /// A whole number from `least` to `most`.
    fn number<T>(&mut self, names: [&str; 2], least: T, most: T) -> Option<T>
    where
        T: Copy + FromStr + PartialOrd + std::fmt::Display,
    {
        let (name, text) = self.first(names)?;
        match text.parse() {
            Ok(number) if number >= least && number <= most => Some(number),
            _ => {
                self.remark(format!(
                    "{name} is {text:?}, and no number from {least} to {most}; it is left aside"
                ));
                None
            }
        }
    }

    fn millis(&mut self, names: [&str; 2]) -> Option<Duration> {
        let most = u64::try_from(DELAY_MAX.as_millis()).unwrap_or(u64::MAX);
        self.number(names, 1, most).map(Duration::from_millis)
    }

    fn truth(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// Where traces go; `None`: nowhere.
    fn url(&mut self, configured: Option<&str>) -> Option<Uri> {
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", false);
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", true);
        for (name, is_base) in [own, all] {
            if let Some(text) = self.get(name).map(str::to_owned) {
                return match address(&text, is_base) {
                    Ok(url) => Some(url),
                    Err(why) => {
                        self.remark(format!("{name} {why}; there are no traces"));
                        None
                    }
                };
            }
        }
        // silent-ok: it was looked at before.
        configured.and_then(|text| address(text, true).ok())
    }

    fn is_off(&mut self) -> bool {
        if self.truth("OTEL_SDK_DISABLED") {
            return true;
        }
        let Some(text) = self.get("OTEL_TRACES_EXPORTER").map(str::to_owned) else {
            return false;
        };
        let mut known = text.split(',').map(str::trim);
        if known.any(|word| word == "otlp") {
            return false;
        }
        if text != "none" {
            self.remark(format!(
                "OTEL_TRACES_EXPORTER is {text:?}; traces go by otlp or, with none, not at all"
            ));
        }
        true
    }

    fn headers(&mut self) -> Vec<(HeaderName, HeaderValue)> {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
        let Some((name, text)) = self.first(names) else {
            return Vec::new();
        };
        let mut headers = Vec::new();
        for (at, pair) in pairs(&text).into_iter().enumerate() {
            match pair.and_then(|(key, value)| header(&key, &value)) {
                Some(header) => headers.push(header),
                // What it says may be secret.
                None => self.remark(format!(
                    "part {} of {name} is no header; write key=value, with what is unusual in the value as %XX",
                    at + 1
                )),
            }
        }
        headers
    }

    fn resource(&mut self) -> Vec<(String, String)> {
        let mut said = BTreeMap::new();
        let text = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default().to_owned();
        match pairs(&text).into_iter().collect::<Option<Vec<_>>>() {
            Some(pairs) => said.extend(pairs),
            // All or nothing, as OpenTelemetry has it.
            None => self.remark("OTEL_RESOURCE_ATTRIBUTES is no list of key=value; it is left aside".into()),
        }
        if let Some(name) = self.get("OTEL_SERVICE_NAME") {
            said.insert("service.name".into(), name.to_owned());
        }
        said.entry("service.name".into()).or_insert_with(|| "reveille".into());
        said.entry("service.version".into())
            .or_insert_with(|| env!("CARGO_PKG_VERSION").into());
        said.into_iter().collect()
    }

    fn sampler(&mut self) -> Sampler {
        let usual = Sampler {
            parent: true,
            share: 1.0,
        };
        let Some(word) = self.get("OTEL_TRACES_SAMPLER").map(str::to_owned) else {
            return usual;
        };
        let (parent, rule) = match word.strip_prefix("parentbased_") {
            Some(rule) => (true, rule),
            None => (false, word.as_str()),
        };
        let share = match rule {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => {
                let argument = self.number(["OTEL_TRACES_SAMPLER_ARG", "OTEL_TRACES_SAMPLER_ARG"], 0.0, 1.0);
                argument.unwrap_or(1.0)
            }
            _ => {
                self.remark(format!(
                    "OTEL_TRACES_SAMPLER {word:?} is not known here; it is left aside"
                ));
                return usual;
            }
        };
        Sampler { parent, share }
    }

    fn gzip(&mut self) -> bool {
        let names = [
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
            "OTEL_EXPORTER_OTLP_COMPRESSION",
        ];
        match self.first(names) {
            Some((_, word)) if word == "gzip" => true,
            Some((name, word)) if word != "none" => {
                self.remark(format!("{name} is {word:?}; gzip and none are known"));
                false
            }
            _ => false,
        }
    }

    /// What is asked for and not done.
    fn look_for_others(&mut self) {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
        if let Some((name, word)) = self.first(names).filter(|(_, word)| word != "http/json") {
            self.remark(format!(
                "{name} is {word:?}; traces go as http/json, which collectors take at the port of OTLP over HTTP (4318)"
            ));
        }
        for part in ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            for name in [
                format!("OTEL_EXPORTER_OTLP_TRACES_{part}"),
                format!("OTEL_EXPORTER_OTLP_{part}"),
            ] {
                if self.get(&name).is_some() {
                    self.remark(format!(
                        "{name} is not used: the authorities of this machine decide whom to trust"
                    ));
                }
            }
        }
    }
}

impl Written {
    /// With what the environment says, which goes before.
    ///
    /// # Errors
    /// What is wrong with what the file says.
    pub(super) fn resolve(&self, environment: &BTreeMap<String, String>) -> Result<Traces, String> {
        let configured = self.endpoint.as_deref().map(str::trim).filter(|text| !text.is_empty());
        if let Some(text) = configured {
            address(text, true).map_err(|why| format!("`endpoint` {why}"))?;
        }
        let mut variables = Variables {
            all: environment,
            remarks: Vec::new(),
        };
        if variables.truth("OTEL_SDK_DISABLED") {
            return Ok(Traces::default());
        }
        let url = variables.url(configured);
        let url = url.filter(|_| !variables.is_off());
        let exporter = url.map(|url| {
            variables.look_for_others();
            let queue = variables
                .number(["OTEL_BSP_MAX_QUEUE_SIZE"; 2], 1, QUEUE_MAX)
                .unwrap_or(QUEUE);
            let batch = variables.number(["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"; 2], 1, QUEUE_MAX);
            Exporter {
                headers: variables.headers(),
                timeout: variables
                    .millis(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])
                    .unwrap_or(TIMEOUT),
                gzip: variables.gzip(),
                resource: variables.resource(),
                sampler: variables.sampler(),
                batch: batch.unwrap_or(BATCH).min(queue),
                queue,
                delay: variables.millis(["OTEL_BSP_SCHEDULE_DELAY"; 2]).unwrap_or(DELAY),
                url,
            }
        });
        if let Some(exporter) = &exporter
            && !exporter.headers.is_empty()
            && exporter.url.scheme_str() == Some("http")
            && !is_near(&exporter.url)
        {
            variables.remark("the headers for the collector go over the network as they are: use https".into());
        }
        Ok(Traces {
            exporter,
            remarks: variables.remarks,
        })
    }
}

fn is_near(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let ip = host.parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// An address to which traces go. `is_base`: the way to them follows it.
fn address(text: &str, is_base: bool) -> Result<Uri, &'static str> {
    let mut url = Url::parse(text).map_err(|_| "is no address; write it like http://127.0.0.1:4318")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a name or a password; what lets the daemon in goes into OTEL_EXPORTER_OTLP_HEADERS");
    }
    url.set_fragment(None);
    if is_base {
        url.set_query(None);
        let path = format!("{}/{SIGNAL}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    url.as_str()
        .parse()
        .map_err(|_| "is no address that a request can have")
}

/// `a=b,c=d`, with the values percent-decoded. `None` for a part that is none.
fn pairs(text: &str) -> Vec<Option<(String, String)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let decoded = |text: &str| {
            let text = percent_decode_str(text.trim()).decode_utf8().ok()?; // silent-ok: told by who asks
            Some(text.into_owned())
        };
        let key = decoded(key).filter(|key| !key.is_empty())?;
        Some((key, decoded(value)?))
    };
    parts.map(pair).collect()
}

fn header(key: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_str(key).ok()?; // silent-ok: told by who asks
    let mut value = HeaderValue::from_str(value).ok()?; // silent-ok: told by who asks
    value.set_sensitive(true);
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn resolved(file: Option<&str>, variables: &[(&str, &str)]) -> Traces {
        let written = Written {
            endpoint: file.map(str::to_owned),
        };
        let pairs = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        written.resolve(&pairs.collect()).unwrap()
    }

    fn url(file: Option<&str>, variables: &[(&str, &str)]) -> Option<String> {
        resolved(file, variables)
            .exporter
            .map(|exporter| exporter.url.to_string())
    }

    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    #[test]
    fn the_way_to_traces_follows_the_address_of_all_signals_and_not_their_own() {
        let some = |text: &str| Some(text.to_owned());
        for (file, variables, expected) in [
            (None, &[][..], None),
            (None, &[(BASE, "")], None),
            (None, &[(BASE, "http://c:4318")], some("http://c:4318/v1/traces")),
            (None, &[(BASE, "http://c:4318/")], some("http://c:4318/v1/traces")),
            (None, &[(BASE, "https://c/otlp/")], some("https://c/otlp/v1/traces")),
            (None, &[(OWN, "http://c:4318/x")], some("http://c:4318/x")),
            (None, &[(OWN, "http://c:4318")], some("http://c:4318/")),
            (None, &[(OWN, "http://t/x"), (BASE, "http://b")], some("http://t/x")),
            (Some("http://f"), &[], some("http://f/v1/traces")),
            (Some("http://f"), &[(BASE, "http://b")], some("http://b/v1/traces")),
            (None, &[(BASE, "http://c"), ("OTEL_SDK_DISABLED", "TRUE")], None),
            (
                None,
                &[(BASE, "http://c"), ("OTEL_SDK_DISABLED", "no")],
                some("http://c/v1/traces"),
            ),
            (None, &[(BASE, "http://c"), ("OTEL_TRACES_EXPORTER", "none")], None),
            (
                None,
                &[(BASE, "http://c"), ("OTEL_TRACES_EXPORTER", "otlp,console")],
                some("http://c/v1/traces"),
            ),
        ] {
            assert_eq!(url(file, variables), expected, "{file:?} {variables:?}");
        }
        let wrong = Written {
            endpoint: Some("collector:4318".into()),
        };
        assert!(wrong.resolve(&BTreeMap::new()).unwrap_err().contains("http://"));
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let variables = [
            (BASE, "http://collector.example"),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Basic%20aHVudGVy%3D, x-scope = team a,hunter2,b\u{1}=c",
            ),
        ];
        let traces = resolved(None, &variables);
        let exporter = traces.exporter.clone().unwrap();
        let headers: Vec<_> = exporter
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(headers, [("authorization", "Basic aHVudGVy="), ("x-scope", "team a")]);
        assert_eq!(
            traces.remarks.len(),
            3,
            "two parts are none, and all is open: {:?}",
            traces.remarks
        );
        assert!(!format!("{traces:?}").contains("hunter") && !format!("{traces:?}").contains("aHVu"));
    }

    #[test]
    fn what_cannot_be_used_is_told_and_left_aside() {
        let variables = [
            (BASE, "http://127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=b,c"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ];
        let traces = resolved(None, &variables);
        assert_eq!(traces.remarks.len(), 7, "{:#?}", traces.remarks);
        let exporter = traces.exporter.unwrap();
        assert_eq!(
            (exporter.timeout, exporter.queue, exporter.batch),
            (TIMEOUT, QUEUE, BATCH)
        );
        assert_eq!(
            exporter.sampler,
            Sampler {
                parent: true,
                share: 1.0
            }
        );
        let bad = resolved(None, &[(BASE, "http://user:hunter2@c")]);
        assert!(bad.exporter.is_none() && bad.remarks.len() == 1 && !bad.remarks[0].contains("hunter"));
    }

    #[test]
    fn the_rest_is_as_it_says() {
        let variables = [
            (BASE, "http://127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "20"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=x, deployment.environment.name=a%2Cb",
            ),
            ("OTEL_SERVICE_NAME", "mine"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ];
        let traces = resolved(None, &variables);
        assert_eq!(traces.remarks, Vec::<String>::new());
        let exporter = traces.exporter.unwrap();
        assert_eq!((exporter.timeout.as_millis(), exporter.delay.as_millis()), (250, 100));
        assert_eq!((exporter.queue, exporter.batch, exporter.gzip), (10, 10, true));
        let resource: Vec<_> = exporter
            .resource
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let expected = [
            ("deployment.environment.name", "a,b"),
            ("service.name", "mine"),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ];
        assert_eq!(resource, expected);
        assert_eq!(
            exporter.sampler,
            Sampler {
                parent: false,
                share: 0.5
            }
        );
    }
}
