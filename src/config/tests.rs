use std::collections::HashMap;

use super::*;

/// A configuration that is accepted, as a map to break one thing in.
pub(crate) fn valid() -> HashMap<String, String> {
    let mut vars = HashMap::from([
        ("ENVIRONMENT".to_owned(), "development".to_owned()),
        ("PUBLIC_URL".to_owned(), "http://127.0.0.1:8787".to_owned()),
        ("HSM_PROVIDER".to_owned(), "simulator".to_owned()),
        ("EXPORT_DELAY".to_owned(), "86400".to_owned()),
        ("LOGIN_LIMITS".to_owned(), "standard".to_owned()),
    ]);
    for name in SecretName::ALL {
        let value = hex::encode(crate::platform::random_bytes::<32>());
        vars.insert(name.variable().to_owned(), value);
    }
    vars
}

pub(crate) fn parse(vars: &HashMap<String, String>) -> Result<Config, ConfigError> {
    Config::parse(|name| vars.get(name).cloned())
}

fn refusal(change: impl FnOnce(&mut HashMap<String, String>)) -> String {
    let mut vars = valid();
    change(&mut vars);
    parse(&vars).expect_err("must be refused").to_problem().detail().to_owned()
}

fn set(vars: &mut HashMap<String, String>, name: &str, value: &str) {
    vars.insert(name.to_owned(), value.to_owned());
}

#[test]
fn a_complete_configuration_is_accepted() {
    let config = parse(&valid()).unwrap();
    assert_eq!(config.public_url.relay("ab"), "ws://127.0.0.1:8787/relay/ab");
}

#[test]
fn every_missing_variable_is_refused_by_its_name() {
    let names = ["ENVIRONMENT", "PUBLIC_URL", "HSM_PROVIDER", "EXPORT_DELAY", "LOGIN_LIMITS"];
    let secrets = SecretName::ALL.map(SecretName::variable);
    for name in names.into_iter().chain(secrets) {
        let detail = refusal(|vars| {
            vars.remove(name);
        });
        assert!(detail.starts_with(name), "{detail}");
        let detail = refusal(|vars| set(vars, name, ""));
        assert!(detail.starts_with(name), "{detail}");
    }
}

#[test]
fn example_zero_repeated_counting_and_short_secrets_are_refused() {
    let counting = hex::encode(std::array::from_fn::<u8, 32, _>(|i| i as u8));
    let bad = [
        "changeme".to_owned(),
        "example".repeat(9),
        "00".repeat(32),
        "5a".repeat(32),
        "0123456789abcdef".repeat(4),
        counting,
        hex::encode([7; 16]),
        "A1".repeat(32),
    ];
    for name in SecretName::ALL.map(SecretName::variable) {
        for value in &bad {
            let detail = refusal(|vars| set(vars, name, value));
            assert!(detail.starts_with(name), "{detail}");
            assert!(!detail.contains(value.as_str()), "the value is in the answer");
        }
    }
}

#[test]
fn no_two_secrets_may_be_equal() {
    for (at, one) in SecretName::ALL.iter().enumerate() {
        for other in &SecretName::ALL[at + 1..] {
            let detail = refusal(|vars| {
                let value = vars[one.variable()].clone();
                set(vars, other.variable(), &value);
            });
            assert!(detail.contains(one.variable()) && detail.contains(other.variable()));
        }
    }
}

#[test]
fn the_simulator_is_refused_in_production_unless_loudly_allowed() {
    let production = |vars: &mut HashMap<String, String>| {
        set(vars, "ENVIRONMENT", "production");
        set(vars, "PUBLIC_URL", "https://passport.dev");
    };
    assert!(refusal(production).starts_with("HSM_PROVIDER"));
    assert!(
        refusal(|vars| {
            production(vars);
            set(vars, SIMULATOR_OVERRIDE, "true");
        })
        .starts_with("HSM_PROVIDER")
    );
    let mut vars = valid();
    production(&mut vars);
    set(&mut vars, SIMULATOR_OVERRIDE, SIMULATOR_OVERRIDE_VALUE);
    assert!(parse(&vars).is_ok());
}

#[test]
fn wide_login_limits_are_refused_in_production() {
    let mut vars = valid();
    set(&mut vars, "LOGIN_LIMITS", "wide");
    assert_eq!(parse(&vars).unwrap().login_limits, LoginLimits::Wide);
    let detail = refusal(|vars| {
        set(vars, "ENVIRONMENT", "production");
        set(vars, "PUBLIC_URL", "https://passport.dev");
        set(vars, SIMULATOR_OVERRIDE, SIMULATOR_OVERRIDE_VALUE);
        set(vars, "LOGIN_LIMITS", "wide");
    });
    assert!(detail.starts_with("LOGIN_LIMITS"), "{detail}");
    assert!(refusal(|vars| set(vars, "LOGIN_LIMITS", "off")).starts_with("LOGIN_LIMITS"));
}

#[test]
fn a_previous_signing_key_is_held_to_what_every_secret_is_held_to() {
    const NAME: &str = secrets::JWT_SIGNING_KEY_PREVIOUS;
    assert!(parse(&valid()).unwrap().jwt_signing_key_previous().is_none());
    for bad in ["changeme", &"00".repeat(32), &"0123456789abcdef".repeat(4)] {
        assert!(refusal(|vars| set(vars, NAME, bad)).starts_with(NAME), "{bad}");
    }
    let shared = refusal(|vars| {
        let value = vars["JWT_SIGNING_KEY"].clone();
        set(vars, NAME, &value);
    });
    assert!(shared.contains(NAME) && shared.contains("same value as JWT_SIGNING_KEY"), "{shared}");
    let mut vars = valid();
    let value = hex::encode(crate::platform::random_bytes::<32>());
    set(&mut vars, NAME, &value);
    let config = parse(&vars).unwrap();
    assert_eq!(config.jwt_signing_key_previous().map(|key| hex::encode(key.expose_secret())), Some(value.clone()));
    assert!(!format!("{config:?}").contains(&value));
}

#[test]
fn the_host_of_the_public_url_is_without_its_port() {
    for (url, host) in [
        ("http://127.0.0.1:8787", "127.0.0.1"),
        ("https://passport.dev", "passport.dev"),
        ("http://localhost:80", "localhost"),
        ("http://[::1]:8787", "[::1]"),
        ("http://[::1]", "[::1]"),
    ] {
        let mut vars = valid();
        set(&mut vars, "PUBLIC_URL", url);
        assert_eq!(parse(&vars).unwrap().public_url.host(), host);
    }
}

#[test]
fn an_unknown_hsm_or_environment_is_refused_and_never_replaced() {
    assert!(refusal(|vars| set(vars, "HSM_PROVIDER", "aws")).starts_with("HSM_PROVIDER"));
    assert!(refusal(|vars| set(vars, "ENVIRONMENT", "staging")).starts_with("ENVIRONMENT"));
}

#[test]
fn a_public_url_that_is_no_origin_or_not_https_in_production_is_refused() {
    for url in [
        "passport.test",
        "ftp://passport.test",
        "https://a@passport.test",
        "https://passport.test/path",
        "https://passport.test?x=1",
    ] {
        assert!(refusal(|vars| set(vars, "PUBLIC_URL", url)).starts_with("PUBLIC_URL"));
    }
    for url in ["http://passport.dev", "https://passport.example", "https://example.org:443"] {
        let detail = refusal(|vars| {
            set(vars, "ENVIRONMENT", "production");
            set(vars, "PUBLIC_URL", url);
        });
        assert!(detail.starts_with("PUBLIC_URL"), "{url}");
    }
}

#[test]
fn the_debug_form_of_a_configuration_has_no_secret_in_it() {
    let vars = valid();
    let shown = format!("{:?}", parse(&vars).unwrap());
    for name in SecretName::ALL {
        let value = &vars[name.variable()];
        assert!(!shown.contains(value.as_str()));
        let decimal = format!("{:?}", hex::decode(value).unwrap());
        assert!(!shown.contains(&decimal));
    }
}

#[test]
fn each_secret_is_found_under_its_own_name() {
    let vars = valid();
    let config = parse(&vars).unwrap();
    for name in SecretName::ALL {
        assert_eq!(hex::encode(config.secret(name).expose_secret()), vars[name.variable()]);
    }
}
