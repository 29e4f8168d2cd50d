// A certified OpenID Connect provider with a few accounts, for tests: node oidc_provider.mjs '{"port": …}'

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import process from "node:process";

import { Provider } from "oidc-provider";

const chosen = JSON.parse(process.argv[2]);
const ACCOUNTS = {
  ann: { email: "ann@example.org", email_verified: true, name: "Ann Archer", given_name: "Ann", family_name: "Archer", groups: ["/admins"] },
  bob: { email: "bob@example.org", email_verified: true, name: "Bob", groups: ["people"] },
  eve: { email: "ann@example.org", email_verified: false, name: "Eve" },
  nobody: {},
};
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });

const provider = new Provider(`http://127.0.0.1:${chosen.port}`, {
  clients: [
    {
      client_id: "waystation",
      ...(chosen.client?.token_endpoint_auth_method === "none" ? {} : { client_secret: "a+secret/that:needs=encoding" }),
      redirect_uris: chosen.redirectUris,
      post_logout_redirect_uris: chosen.redirectUris.map((uri) => new URL("/signin", uri).href),
      ...chosen.client,
    },
  ],
  jwks: { keys: [{ ...key, kid: chosen.kid, use: "sig", alg: "RS256" }] },
  cookies: { keys: ["only for tests"] },
  claims: { openid: ["sub", "groups"], email: ["email", "email_verified"], profile: ["name", "given_name", "family_name"] },
  conformIdTokenClaims: !chosen.claimsInIdToken,
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  ...chosen.configuration,
  pkce: { required: () => true },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...ACCOUNTS[id], ...chosen.claims?.[id] }) }),
});

const server = provider.listen(chosen.port, "127.0.0.1");
await once(server, "listening");
process.stdout.write("ready\n");
