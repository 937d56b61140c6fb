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
    for name in secret_names() {
        let value = hex::encode(crate::platform::random_bytes::<32>());
        vars.insert(name.to_owned(), value);
    }
    vars
}

/// Of a deployment with the simulator.
fn secret_names() -> impl Iterator<Item = &'static str> {
    let keks = ["HSM_SIMULATOR_BUNKER_KEK", "HSM_SIMULATOR_COSIGNER_KEK"];
    SecretName::ALL.into_iter().map(SecretName::variable).chain(keks)
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
    for name in names.into_iter().chain(secret_names()) {
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
    for name in secret_names() {
        for value in &bad {
            let detail = refusal(|vars| set(vars, name, value));
            assert!(detail.starts_with(name), "{detail}");
            assert!(!detail.contains(value.as_str()), "the value is in the answer");
        }
    }
}

#[test]
fn no_two_secrets_may_be_equal() {
    for (at, one) in secret_names().enumerate() {
        for other in secret_names().skip(at + 1) {
            let detail = refusal(|vars| {
                let value = vars[one].clone();
                set(vars, other, &value);
            });
            assert!(detail.contains(one) && detail.contains(other));
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
    assert!(refusal(|vars| set(vars, "HSM_PROVIDER", "kms")).starts_with("HSM_PROVIDER"));
    // Named and not set up is no reason to go on with software.
    assert!(refusal(|vars| set(vars, "HSM_PROVIDER", "aws")).starts_with("HSM_AWS_BUNKER_KEY_ARN"));
    assert!(refusal(|vars| set(vars, "HSM_PROVIDER", "google")).starts_with("HSM_GOOGLE_BUNKER_KEY"));
    assert!(refusal(|vars| set(vars, "HSM_PROVIDER", "azure")).starts_with("HSM_AZURE_BUNKER_KEY_ID"));
    assert!(
        refusal(|vars| set(vars, "HSM_PROVIDER_PREVIOUS", "simulator"))
            .starts_with("HSM_SIMULATOR_BUNKER_KEK_PREVIOUS")
    );
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
    for name in secret_names() {
        let value = &vars[name];
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

#[test]
fn a_second_place_of_audit_records_is_known_by_name_or_there_is_none() {
    let parsed = |value: &str| {
        let mut vars = valid();
        set(&mut vars, "AUDIT_SINK", value);
        parse(&vars).map(|config| config.audit_sink)
    };
    assert_eq!(parse(&valid()).unwrap().audit_sink, AuditSink::None);
    assert_eq!(parsed("none").unwrap(), AuditSink::None);
    assert_eq!(parsed("r2").unwrap(), AuditSink::R2);
    for unknown in ["R2", "s3", "nowhere"] {
        assert!(parsed(unknown).unwrap_err().to_string().starts_with("AUDIT_SINK"), "{unknown}");
    }
}

/// A configuration with AWS KMS, of which one thing can be broken.
fn aws() -> HashMap<String, String> {
    let mut vars = valid();
    for name in ["HSM_SIMULATOR_BUNKER_KEK", "HSM_SIMULATOR_COSIGNER_KEK"] {
        vars.remove(name);
    }
    set(&mut vars, "HSM_PROVIDER", "aws");
    for (role, key) in [("BUNKER", "aaaa"), ("COSIGNER", "bbbb")] {
        let arn = format!("arn:aws:kms:eu-central-1:111122223333:key/{key}");
        set(&mut vars, &format!("HSM_AWS_{role}_KEY_ARN"), &arn);
        set(&mut vars, &format!("HSM_AWS_{role}_ACCESS_KEY_ID"), &format!("AKIA{role}"));
        set(&mut vars, &format!("HSM_AWS_{role}_SECRET_ACCESS_KEY"), &format!("the-secret-of-{role}"));
    }
    vars
}

#[test]
fn a_hardware_provider_is_accepted_in_production_without_any_kek_in_the_secrets() {
    let mut vars = aws();
    set(&mut vars, "ENVIRONMENT", "production");
    set(&mut vars, "PUBLIC_URL", "https://passport.dev");
    let config = parse(&vars).unwrap();
    let keys = config.hsm.of(HolderRole::Cosigner).unwrap();
    assert!(keys.previous.is_none());
    let shown = format!("{config:?}");
    assert!(!shown.contains("the-secret-of"), "{shown}");
}

#[test]
fn what_is_missing_or_shared_of_a_hardware_provider_is_refused_by_its_name() {
    let refused = |change: &dyn Fn(&mut HashMap<String, String>)| {
        let mut vars = aws();
        change(&mut vars);
        parse(&vars).expect_err("must be refused").to_string()
    };
    for name in ["HSM_AWS_BUNKER_ACCESS_KEY_ID", "HSM_AWS_COSIGNER_SECRET_ACCESS_KEY", "HSM_AWS_COSIGNER_KEY_ARN"] {
        assert!(refused(&|vars| drop(vars.remove(name))).starts_with(name));
    }
    let same = refused(&|vars| {
        let arn = vars["HSM_AWS_BUNKER_KEY_ARN"].clone();
        set(vars, "HSM_AWS_COSIGNER_KEY_ARN", &arn);
    });
    assert!(same.starts_with("HSM_AWS_COSIGNER_KEY_ARN is the same key as HSM_AWS_BUNKER_KEY_ARN"), "{same}");
    let alias = "arn:aws:kms:eu-central-1:111122223333:alias/passport";
    assert!(refused(&|vars| set(vars, "HSM_AWS_BUNKER_KEY_ARN", alias)).starts_with("HSM_AWS_BUNKER_KEY_ARN"));
    assert!(refused(&|vars| set(vars, "HSM_AWS_KEY_STORE", "disk")).starts_with("HSM_AWS_KEY_STORE"));
}

#[test]
fn a_provider_is_reached_without_tls_in_development_only() {
    let with = |environment: &str, endpoint: &str| {
        let mut vars = aws();
        set(&mut vars, "ENVIRONMENT", environment);
        set(&mut vars, "PUBLIC_URL", "https://passport.dev");
        set(&mut vars, "HSM_AWS_ENDPOINT", endpoint);
        parse(&vars).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(with("development", "http://127.0.0.1:5000"), Ok(()));
    assert_eq!(with("production", "https://kms.internal"), Ok(()));
    for (environment, endpoint) in [
        ("production", "http://127.0.0.1:5000"),
        ("development", "https://kms.internal/path"),
        ("development", "ftp://kms.internal"),
        ("development", "https://"),
    ] {
        assert!(with(environment, endpoint).unwrap_err().starts_with("HSM_AWS_ENDPOINT"), "{endpoint}");
    }
}

#[test]
fn the_simulator_as_the_kek_before_is_held_to_what_it_is_always_held_to() {
    let mut vars = aws();
    set(&mut vars, "HSM_PROVIDER_PREVIOUS", "simulator");
    for name in ["HSM_SIMULATOR_BUNKER_KEK_PREVIOUS", "HSM_SIMULATOR_COSIGNER_KEK_PREVIOUS"] {
        set(&mut vars, name, &hex::encode(crate::platform::random_bytes::<32>()));
    }
    assert!(parse(&vars).unwrap().hsm.of(HolderRole::Bunker).unwrap().previous.is_some());
    set(&mut vars, "ENVIRONMENT", "production");
    set(&mut vars, "PUBLIC_URL", "https://passport.dev");
    assert!(parse(&vars).unwrap_err().to_string().starts_with("HSM_PROVIDER_PREVIOUS"));
}
