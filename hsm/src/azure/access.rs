//! How a vault is asked whose token it takes, and how that token is got.
//!
//! A vault answers a request without a token with a challenge. It is believed only if it names the configured
//! authority and tenant, and a resource in whose domain the vault itself is: otherwise somebody in between could have
//! the client's secret sent to himself, or a token for something else.

use zeroize::Zeroizing;

use super::{API, Azure, Settings, verdict};
use crate::{
    HsmError, HttpRequest, HttpResponse, Transport,
    retry::{self, Deadline},
    token::granted,
};

impl<T: Transport> Azure<T> {
    /// A token that the vault takes: the one that is held, or a new one.
    pub(super) async fn token(&self, deadline: Deadline) -> Result<Zeroizing<String>, HsmError> {
        if let Some(token) = self.token.get(self.transport.now_ms()) {
            return Ok(token);
        }
        let settings = &*self.settings;
        let scope = self.challenge(deadline).await?;
        let url = format!("{}/{}/oauth2/v2.0/token", settings.authority, settings.tenant_id);
        let make = || {
            let fields = [
                ("client_id", settings.client_id.as_str()),
                ("client_secret", settings.client_secret.expose_secret()),
                ("grant_type", "client_credentials"),
                ("scope", &scope),
            ];
            Ok(HttpRequest::post_form(url.clone(), &fields))
        };
        let judge = |response: &_| granted(response, |_| false);
        let (token, lifetime_s) = retry::send(&self.transport, deadline, make, judge).await?;
        self.token.keep(token.clone(), lifetime_s, self.transport.now_ms());
        Ok(token)
    }

    /// The scope that the vault asks for. What is asked with has no secret in it.
    async fn challenge(&self, deadline: Deadline) -> Result<String, HsmError> {
        let make = || Ok(HttpRequest::get(format!("{}?{API}", self.settings.key)));
        retry::send(&self.transport, deadline, make, |response| match response.status {
            401 => scope(response, &self.settings),
            200 => Err(HsmError::BadResponse),
            _ => Err(verdict::refusal(response, false)),
        })
        .await
    }
}

/// The scope out of a challenge, if it may be believed.
fn scope(response: &HttpResponse, settings: &Settings) -> Result<String, HsmError> {
    let header = response.header("www-authenticate").ok_or(HsmError::BadResponse)?;
    let parameters = header.strip_prefix("Bearer ").ok_or(HsmError::BadResponse)?;
    let parameter = |name: &str| {
        let mut parts = parameters.split([',', ' ']).filter_map(|part| part.trim().split_once('='));
        parts.find(|(it, _)| *it == name).map(|(_, value)| value.trim_matches('"'))
    };
    let authorization = parameter("authorization").or_else(|| parameter("authorization_uri"));
    if authorization != Some(format!("{}/{}", settings.authority, settings.tenant_id).as_str()) {
        return Err(HsmError::WrongKey);
    }
    let resource = match (parameter("resource"), parameter("scope")) {
        (Some(resource), _) => resource,
        (None, Some(scope)) => scope.strip_suffix("/.default").unwrap_or(scope),
        (None, None) => return Err(HsmError::BadResponse),
    };
    let domain = resource.strip_prefix("https://").map(|host| host.trim_end_matches('/'));
    let is_ours = domain.is_some_and(|domain| {
        let labels = settings.key.host().strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
        domain.contains('.') && labels.is_some_and(|labels| !labels.is_empty())
    });
    if is_ours { Ok(format!("{}/.default", resource.trim_end_matches('/'))) } else { Err(HsmError::WrongKey) }
}

#[cfg(test)]
mod tests {
    use frost_wasm_core::secret::SecretString;

    use super::*;
    use crate::azure::{Algorithm, KeyId};

    fn judged(header: &str) -> Result<String, HsmError> {
        let settings = Settings {
            key: KeyId::parse("https://passport.vault.azure.net/keys/bunker/01").unwrap(),
            algorithm: Algorithm::RsaOaep256,
            tenant_id: "tenant".into(),
            client_id: "client".into(),
            client_secret: SecretString::from("secret".to_owned()),
            authority: "https://login.microsoftonline.com".into(),
        };
        let headers = vec![("www-authenticate".to_owned(), header.to_owned())];
        scope(&HttpResponse { status: 401, headers, body: Zeroizing::new(Vec::new()) }, &settings)
    }

    #[test]
    fn a_challenge_of_another_authority_tenant_or_domain_is_not_answered() {
        const AUTHORITY: &str = "authorization=\"https://login.microsoftonline.com/tenant\"";
        let scope = Ok("https://vault.azure.net/.default".to_owned());
        assert_eq!(judged(&format!("Bearer {AUTHORITY}, resource=\"https://vault.azure.net\"")), scope);
        assert_eq!(judged(&format!("Bearer {AUTHORITY}, scope=\"https://vault.azure.net/.default\"")), scope);
        for bad in [
            format!("Bearer {AUTHORITY}, resource=\"https://evil.net\""),
            format!("Bearer {AUTHORITY}, resource=\"https://t.vault.azure.net\""),
            format!("Bearer {AUTHORITY}, resource=\"http://vault.azure.net\""),
            format!("Bearer {AUTHORITY}, resource=\"https://net\""),
            format!("Bearer {AUTHORITY}, resource=\"https://\""),
            "Bearer authorization=\"https://login.microsoftonline.com/other\", resource=\"https://vault.azure.net\""
                .into(),
            "Bearer authorization=\"https://evil.net/tenant\", resource=\"https://vault.azure.net\"".into(),
        ] {
            assert_eq!(judged(&bad), Err(HsmError::WrongKey), "{bad}");
        }
        assert_eq!(judged("Basic realm=\"x\""), Err(HsmError::BadResponse));
        assert_eq!(judged(&format!("Bearer {AUTHORITY}")), Err(HsmError::BadResponse));
    }
}
