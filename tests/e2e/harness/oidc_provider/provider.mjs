/* Several issuers of the certified oidc-provider on one loopback port, and a userinfo route in front of each: the
 * library refuses its own JWT access tokens there.
 *
 *     node provider.mjs MODULES
 *
 * MODULES is where its packages are installed. Commands come as lines of JSON on standard input, each is answered by
 * one line of JSON on standard output; it ends when its input does.
 *
 *     {"command": "serve", "users": {SUB: CLAIMS}, "paths": [PATH]}    -> {"origin": "http://127.0.0.1:PORT"}
 *     {"command": "rotate", "path": PATH, "keep": BOOLEAN}             -> {}; keep: the old keys stay in the key set
 *     {"command": "users", "users": {SUB: CLAIMS}}                     -> {}
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';

const modules = path.resolve(process.argv[2]);
const jose = createRequire(path.join(modules, 'x'))('jose');
const { default: Provider } = await import(pathToFileURL(path.join(modules, 'oidc-provider/lib/index.js')));

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const RESOURCE = 'urn:oscar:';  // and the algorithm: what a token for it is signed with
const HOUR = 3600;

let origin;
let users = {};
const issuers = new Map();  // path -> {issuer, keys, provider}

function newKeys() {
  const made = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ...['P-256', 'P-384', 'P-521'].map((namedCurve) => generateKeyPairSync('ec', { namedCurve })),
    generateKeyPairSync('ed25519'),
  ];
  return made.map(({ privateKey }) => ({ ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig' }));
}

function configuration(keys) {
  return {
    clients: [{
      client_id: 'dashboard',
      redirect_uris: ['https://dashboard.example.org/callback'],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }],
    cookies: { keys: ['of no worth'] },
    jwks: { keys },
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    findAccount: (_, sub) => (users[sub] ? { accountId: sub, claims: () => ({ sub }) } : undefined),
    features: {
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: '',
          audience: 'oscar',
          accessTokenTTL: HOUR,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: resource.slice(RESOURCE.length) } },
        }),
      },
    },
    ttl: { AccessToken: HOUR, AuthorizationCode: 60, Grant: HOUR, IdToken: HOUR, Interaction: 60, Session: HOUR },
  };
}

function install(at, keys) {
  const issuer = origin + at;
  const provider = new Provider(issuer, configuration(keys));
  provider.on('server_error', (_, error) => console.error(error));
  issuers.set(at, { issuer, keys, handle: provider.callback() });
}

async function userinfo({ issuer, keys }, request, response) {
  const token = (request.headers.authorization ?? '').replace(/^Bearer /i, '');
  try {
    const shown = jose.createLocalJWKSet({ keys: keys.map(({ d, p, q, dp, dq, qi, ...shown }) => shown) });
    const { payload } = await jose.jwtVerify(token, shown, { issuer, typ: 'at+jwt' });
    const body = JSON.stringify({ sub: payload.sub, ...users[payload.sub] });
    response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' }).end(body);
  } catch (error) {
    response.writeHead(401, { 'WWW-Authenticate': 'Bearer error="invalid_token"' }).end();
  }
}

function handle(request, response) {
  // The longest path first: the issuer without one takes the rest.
  const at = [...issuers.keys()].sort((a, b) => b.length - a.length).find((p) => request.url.startsWith(`${p}/`));
  if (at === undefined) {
    response.writeHead(404).end();
    return;
  }
  const rest = request.url.slice(at.length);
  if (rest === '/me') {
    userinfo(issuers.get(at), request, response);
    return;
  }
  request.originalUrl = request.url;
  request.url = rest;
  issuers.get(at).handle(request, response);
}

const commands = {
  async serve({ users: given, paths }) {
    users = given;
    const server = createServer(handle);
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    origin = `http://127.0.0.1:${server.address().port}`;
    paths.forEach((at) => install(at, newKeys()));
    return { origin };
  },
  rotate({ path: at, keep }) {
    install(at, [...newKeys(), ...(keep ? issuers.get(at).keys : [])]);
    return {};
  },
  users({ users: given }) {
    users = given;
    return {};
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await commands[command](rest))}\n`);
}
process.exit(0);
