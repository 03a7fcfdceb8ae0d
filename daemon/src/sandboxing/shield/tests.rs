use pretty_assertions::assert_eq;

use super::*;

const KEY: &str = "sk-ant-api03-canary";

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn planned(pairs: &[(&str, &str)], keys: &[(&'static str, &str)]) -> (Result<Plan, Failure>, BTreeMap<String, String>) {
    let mut env = variables(pairs);
    let keys: Vec<_> = keys
        .iter()
        .map(|(name, secret)| (*name, (*secret).to_owned()))
        .collect();
    (Plan::of(&mut env, &keys), env)
}

#[test]
fn what_signs_in_is_replaced_by_what_looks_like_it_and_nobody_guesses() {
    let keys = [
        ("ANTHROPIC_API_KEY", KEY),
        ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-canary"),
        ("ANTHROPIC_AUTH_TOKEN", "canary"),
    ];
    let (plan, env) = planned(&[("ANTHROPIC_API_KEY", KEY), ("OTHER", "stays")], &keys);
    let plan = plan.unwrap();
    for ((name, secret), start) in keys.into_iter().zip(["sk-ant-api03-", "sk-ant-oat01-", ""]) {
        let shown = &env[name];
        assert!(shown.starts_with(&format!("{start}placeholder-")), "{shown}");
        let swap = plan.swaps.iter().find(|swap| swap.placeholder == *shown).unwrap();
        assert_eq!(swap.secret, secret);
    }
    assert_eq!(
        (plan.upstream.as_str(), env["OTHER"].as_str()),
        ("https://api.anthropic.com/", "stays")
    );
    let (_, again) = planned(&[], &keys);
    assert_ne!(env["ANTHROPIC_API_KEY"], again["ANTHROPIC_API_KEY"]);
}

#[test]
fn another_service_is_asked_in_its_own_way() {
    let lines = "X-Team: a: b\nauthorization: Bearer canary-2\n\nnonsense\n: no name\nX-Empty:\n";
    let pairs = [
        (API, "https://gateway.example:8443/anthropic"),
        (HEADERS, lines),
        ("ANTHROPIC_AUTH_TOKEN", "canary"),
    ];
    let (plan, env) = planned(&pairs, &[("ANTHROPIC_AUTH_TOKEN", "canary")]);
    let plan = plan.unwrap();
    assert_eq!(plan.upstream.as_str(), "https://gateway.example:8443/anthropic");
    let headers: Vec<_> = plan
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(headers, [("x-team", "a: b"), ("authorization", "Bearer canary-2")]);
    assert!(!env.contains_key(HEADERS));
    let (plan, _) = planned(&[(API, "")], &[("ANTHROPIC_API_KEY", KEY)]);
    assert_eq!(plan.unwrap().upstream.as_str(), "https://api.anthropic.com/");
}

#[test]
fn what_cannot_be_kept_back_is_refused_with_the_mend_and_without_the_secret() {
    for (pairs, what) in [
        ([("MY_KEY", "Bearer sk-ant-api03-canary")], "MY_KEY"),
        ([(API, "http://me:sk-ant-api03-canary@host")], API),
        ([(API, "gateway")], "no address"),
        ([(API, "ftp://gateway")], "no address"),
        ([(HEADERS, "a b: sk-ant-api03-canary")], HEADERS),
        ([(HEADERS, "A: \u{7f}canary")], HEADERS),
    ] {
        let failure = planned(&pairs, &[("ANTHROPIC_API_KEY", KEY)]).0.err().unwrap();
        assert_eq!((failure.code, failure.remedy), (FailureCode::Sandbox, Remedy::Operator));
        assert!(
            failure.message.contains(what) && !failure.next_step.is_empty(),
            "{failure:?}"
        );
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    }
}
