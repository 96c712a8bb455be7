// Drives an installation with @clevercloud/client 12 and prints what it saw as one JSON object.
// argv: the folder of the client package; the environment: API_HOST, CLEVER_TOKEN, CLEVER_SECRET, API_TOKEN, ORGA, CONSUMER.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder] = process.argv.slice(2);
const { API_HOST, CLEVER_TOKEN, CLEVER_SECRET, API_TOKEN, ORGA, CONSUMER } = process.env;
const load = (path) => import(pathToFileURL(join(folder, path)).href);
const command = async (path, name) => (await load(`src/clients/cc-api/commands/${path}.js`))[name];

const { CcApiClient } = await load("src/clients/cc-api/cc-api-client.js");
const [consumerKey, consumerSecret] = CONSUMER.split(" ");
const oauthTokens = { consumerKey, consumerSecret, token: CLEVER_TOKEN, secret: CLEVER_SECRET };
const signed = new CcApiClient({ baseUrl: API_HOST, authMethod: { type: "oauth-v1", oauthTokens } });
const bearer = new CcApiClient({ baseUrl: API_HOST, authMethod: { type: "api-token", apiToken: API_TOKEN } });

const seen = {};
async function send(client, name, path, className, params) {
  const Command = await command(path, className);
  try {
    seen[name] = await client.send(new Command(params));
  } catch (error) {
    seen[name] = { failed: error.message, code: error.code, status: error.statusCode };
  }
  return seen[name];
}

await send(signed, "profile", "profile/get-profile-command", "GetProfileCommand");
await send(bearer, "bearer", "profile/get-profile-command", "GetProfileCommand");
await send(signed, "runtimes", "product/list-product-runtime-command", "ListProductRuntimeCommand");
await send(signed, "zones", "zone/list-zone-command", "ListZoneCommand");
await send(signed, "organisations", "organisation/list-organisation-command", "ListOrganisationCommand", {
  withPersonalOrganisation: true,
});
await send(signed, "members", "organisation/list-organisation-member-command", "ListOrganisationMemberCommand", {
  organisationId: ORGA,
});
const app = await send(signed, "created", "application/create-application-command", "CreateApplicationCommand", {
  ownerId: ORGA, name: "from-js", description: "made by client 12", instance: { slug: "node" }, minFlavor: "XS",
});
const one = { ownerId: ORGA, applicationId: app.id };
await send(bearer, "applications", "application/list-application-command", "ListApplicationCommand", { ownerId: ORGA });
await send(signed, "environmentSet", "environment/update-environment-command", "UpdateEnvironmentCommand", {
  ...one, environment: [{ name: "A", value: "1" }],
});
await send(bearer, "environment", "environment/get-environment-command", "GetEnvironmentCommand", {
  ...one, includeLinkedApplications: true, includeLinkedAddons: true,
});
await send(signed, "domainAdded", "domain/create-domain-command", "CreateDomainCommand", {
  ...one, domain: "js.example.test/deep",
});
await send(signed, "domains", "domain/list-domain-command", "ListDomainCommand", one);
await send(signed, "primary", "domain/get-primary-domain-command", "GetPrimaryDomainCommand", one);
await send(signed, "tagged", "tag/create-tag-command", "CreateTagCommand", { ...one, tag: "blue" });
await send(signed, "deployments", "deployment/list-deployment-command", "ListDeploymentCommand", one);
await send(signed, "instances", "instance/list-application-instance-command", "ListApplicationInstanceCommand", one);
await send(signed, "balancer", "load-balancer/get-load-balancer-info-command", "GetLoadBalancerInfoCommand", one);
await send(signed, "consumers", "oauth-consumer/list-oauth-consumer-command", "ListOauthConsumerCommand", { ownerId: ORGA });
await send(signed, "tokens", "oauth-token/list-oauth-token-command", "ListOauthTokenCommand");
await send(signed, "keys", "ssh-key/list-personal-ssh-key-command", "ListPersonalSshKeyCommand");
await send(signed, "webhooks", "notification/list-webhook-notification-command", "ListWebhookNotificationCommand", {
  ownerId: ORGA,
});
await send(signed, "drain", "log-drain/create-log-drain-command", "CreateLogDrainCommand", {
  ...one, kind: "LOG", target: { type: "RAW_HTTP", url: "https://sink.example.test" },
});
await send(signed, "drains", "log-drain/list-log-drain-command", "ListLogDrainCommand", one);
await send(signed, "deleted", "application/delete-application-command", "DeleteApplicationCommand", one);
await send(signed, "unknown", "application/get-application-command", "GetApplicationCommand", {
  ownerId: ORGA, applicationId: "app_00000000-0000-4000-8000-000000000000",
});
console.log(JSON.stringify(seen));
