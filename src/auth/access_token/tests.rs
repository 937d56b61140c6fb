use super::*;

const NOW_S: u64 = 1_800_000_000;

fn tokens() -> AccessTokens {
    AccessTokens::new(&Secret32::from_bytes([7; 32]), None, "https://passport.test".to_owned())
}

fn sign_raw(tokens: &AccessTokens, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = tokens.signing.sign(signed.as_bytes()).to_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn own_header(tokens: &AccessTokens) -> String {
    String::from_utf8(URL_SAFE_NO_PAD.decode(&tokens.current.header).unwrap()).unwrap()
}

#[test]
fn a_token_is_taken_until_it_expires() {
    let tokens = tokens();
    let token = tokens.issue("account", "session", NOW_S);
    let claims = tokens.verify(&token, NOW_S + ACCESS_TOKEN_LIFETIME_S - 1).unwrap();
    assert_eq!((claims.sub.as_str(), claims.sid.as_str()), ("account", "session"));
    let late = tokens.verify(&token, NOW_S + ACCESS_TOKEN_LIFETIME_S);
    assert_eq!(late, Err(AccessTokenError::Expired));
    let early = tokens.verify(&token, NOW_S - CLOCK_SKEW_MAX_S - 1);
    assert_eq!(early, Err(AccessTokenError::NotYetValid));
}

#[test]
fn no_game_with_alg_kid_typ_or_further_header_fields_works() {
    let tokens = tokens();
    let ours = own_header(&tokens);
    let token = tokens.issue("account", "session", NOW_S);
    let claims = token.split('.').nth(1).unwrap();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert!(tokens.verify(&sign_raw(&tokens, &ours, &claims), NOW_S).is_ok());
    for header in [
        ours.replace("EdDSA", "none"),
        ours.replace("EdDSA", "HS256"),
        ours.replace("EdDSA", "ES256"),
        ours.replace("at+jwt", "JWT"),
        ours.replace(&tokens.current.kid, "other"),
        ours.replace('}', r#","jwk":{}}"#),
        ours.replace('}', r#","crit":["exp"]}"#),
        ours.replace('}', r#","alg":"none"}"#),
        ours.replace(',', ", "),
    ] {
        let verdict = tokens.verify(&sign_raw(&tokens, &header, &claims), NOW_S);
        assert_eq!(verdict, Err(AccessTokenError::ForeignHeader), "{header}");
    }
}

#[test]
fn claims_of_another_deployment_audience_or_lifetime_are_refused() {
    let tokens = tokens();
    let header = own_header(&tokens);
    let token = tokens.issue("account", "session", NOW_S);
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims = String::from_utf8(claims).unwrap();
    let exp = (NOW_S + ACCESS_TOKEN_LIFETIME_S).to_string();
    for (from, to) in [
        ("https://passport.test", "https://other.test"),
        (AUDIENCE, "operator-api"),
        (exp.as_str(), "9999999999"),
        ("\"exp\"", "\"nbf\""),
        ("{", "{\"admin\":true,"),
    ] {
        let token = sign_raw(&tokens, &header, &claims.replace(from, to));
        let verdict = tokens.verify(&token, NOW_S);
        assert_eq!(verdict, Err(AccessTokenError::ForeignClaims), "{to}");
    }
}

#[test]
fn changed_stripped_and_foreign_signatures_are_refused() {
    let tokens = tokens();
    let token = tokens.issue("account", "session", NOW_S);
    let (signed, _) = token.rsplit_once('.').unwrap();
    let stranger = AccessTokens::new(&Secret32::from_bytes([8; 32]), None, "https://passport.test".to_owned());
    let foreign = stranger.signing.sign(signed.as_bytes()).to_bytes();
    for signature in [String::new(), URL_SAFE_NO_PAD.encode([0; 64]), URL_SAFE_NO_PAD.encode(foreign)] {
        let verdict = tokens.verify(&format!("{signed}.{signature}"), NOW_S);
        assert_eq!(verdict, Err(AccessTokenError::BadSignature));
    }
    for token in ["", ".", "..", "a.b", "prt_abc", &"a".repeat(5000)] {
        assert!(tokens.verify(token, NOW_S).is_err());
    }
}

fn rotated() -> (AccessTokens, AccessTokens, AccessTokens) {
    let (old, new) = (Secret32::from_bytes([7; 32]), Secret32::from_bytes([8; 32]));
    let issuer = || "https://passport.test".to_owned();
    (
        AccessTokens::new(&old, None, issuer()),
        AccessTokens::new(&new, Some(&old), issuer()),
        AccessTokens::new(&new, None, issuer()),
    )
}

#[test]
fn while_a_key_is_replaced_tokens_of_both_are_taken_and_new_ones_are_of_the_new() {
    let (before, during, after) = rotated();
    let old = before.issue("account", "session", NOW_S);
    let new = during.issue("account", "session", NOW_S);
    assert_eq!(during.verify(&old, NOW_S), during.verify(&new, NOW_S));
    assert_eq!(new, after.issue("account", "session", NOW_S));
    assert_eq!(before.verify(&new, NOW_S), Err(AccessTokenError::ForeignHeader));
    assert_eq!(after.verify(&old, NOW_S), Err(AccessTokenError::ForeignHeader));
    assert_eq!(during.verify(&old, NOW_S + ACCESS_TOKEN_LIFETIME_S), Err(AccessTokenError::Expired));
    let kids: Vec<_> = during.jwks().keys.into_iter().map(|key| key.kid).collect();
    assert_eq!(kids, [&after.current.kid, &before.current.kid].map(Clone::clone));
}

#[test]
fn a_header_of_one_key_over_a_signature_of_the_other_is_refused() {
    let (before, during, _) = rotated();
    let old = before.issue("account", "session", NOW_S);
    let new = during.issue("account", "session", NOW_S);
    let mixed = |head: &str, rest: &str| {
        let (head, _) = head.split_once('.').unwrap();
        let (_, rest) = rest.split_once('.').unwrap();
        during.verify(&format!("{head}.{rest}"), NOW_S)
    };
    assert_eq!(mixed(&old, &new), Err(AccessTokenError::BadSignature));
    assert_eq!(mixed(&new, &old), Err(AccessTokenError::BadSignature));
}

#[test]
fn keys_thumbprints_and_signatures_are_those_of_rfc_8037_appendix_a() {
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let seed = Secret32::from_bytes(seed.try_into().unwrap());
    let tokens = AccessTokens::new(&seed, None, String::new());
    assert_eq!(tokens.jwks().keys[0].x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(tokens.current.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = tokens.signing.sign(signed.as_bytes()).to_bytes();
    assert_eq!(
        URL_SAFE_NO_PAD.encode(signature),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn the_signing_key_is_not_shown_by_debug() {
    let shown = format!("{:?}", tokens());
    assert!(shown.contains("<redacted>") && !shown.contains("7, 7"));
}
