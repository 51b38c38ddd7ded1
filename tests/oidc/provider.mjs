// A certified OpenID provider for the tests: real code paths, four people, and misbehaviour on request.
//
//   PORT    where it listens on 127.0.0.1 (9500; 0 takes a free port)
//   ISSUER  its issuer (http://127.0.0.1:PORT)
//   RP      base addresses of relying parties, comma separated (http://127.0.0.1:8080). The first one is the
//           client `slipway`, each further one `slipway-2`, `slipway-3` and so on; all share one secret
//   FAULT   a name from faults.mjs: how it misbehaves from the start
//
// It prints `ready ISSUER` once it answers. Sign in at its form with a name from USERS and any password.
// Consent is not asked for, as a company's own provider would not.
//
// Tests steer it while it runs:
//   PUT    /control/fault/NAME     misbehave so from now on; 404 if there is no such fault
//   DELETE /control/fault          behave again
//   PUT    /control/client/ID      {"rp": "http://127.0.0.1:1234"}: one more relying party
//   PUT    /control/user/NAME      {"groups": ["…"], …}: add a person or change one; DELETE takes one away
//   POST   /control/sign           {"claims": {…}, "header": {…}, "key": "provider"|"stranger"|"next"|"secret"|"public"|"none"}:
//                                  any token as text/plain, for the attacks that no honest provider would mount
//   GET    /control/last           the claims of the ID token issued last
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';
import { FAULTS, misbehave } from './faults.mjs';
import { Keys } from './keys.mjs';

const SECRET = 'for-tests-only-for-tests-only-32';
const USERS = new Map(Object.entries({
  alice: { name: 'Alice Admin', email: 'alice@example.test', groups: ['admins', 'ml-deployers'] },
  bob: { name: 'Bob Deployer', email: 'bob@example.test', groups: ['ml-deployers'] },
  carol: { name: 'Carol Viewer', email: 'carol@example.test', groups: [] },
  dave: { name: 'Dave Scientist', email: 'dave@example.test', groups: ['data-science'] },
}));
const CLIENTS = new Map();
/** What every part looks at: the fault in force and the last ID token's claims. */
const state = { fault: undefined, last: undefined };

function addClient(id, rp) {
  CLIENTS.set(id, {
    client_id: id,
    client_secret: SECRET,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [`${rp}/auth/callback`],
    post_logout_redirect_uris: [`${rp}/login`],
    backchannel_logout_uri: `${rp}/auth/backchannel-logout`,
    backchannel_logout_session_required: true,
  });
}

/** Keeps everything in memory, and finds clients where /control/client puts them. */
class Adapter extends MemoryAdapter {
  constructor(model) {
    super(model);
    this.clients = model === 'Client';
  }

  async find(id) {
    return this.clients ? CLIENTS.get(id) : super.find(id);
  }
}

/** Grants a client everything it may ask for, unless this session already did. */
async function loadExistingGrant({ oidc }) {
  const known = oidc.session.grantIdFor(oidc.client.clientId);
  if (known) return oidc.provider.Grant.find(known);
  const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
  grant.addOIDCScope('openid profile email groups');
  await grant.save();
  return grant;
}

function findAccount(_ctx, sub) {
  const user = USERS.get(sub);
  return user && {
    accountId: sub,
    claims: async () => ({ sub, preferred_username: sub, email_verified: true, ...user }),
  };
}

function build(issuer, keys) {
  const provider = new Provider(issuer, {
    adapter: Adapter,
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    conformIdTokenClaims: false, // groups stand in the ID token too, as most companies' providers put them
    cookies: { keys: ['test-cookie-key'] },
    features: {
      backchannelLogout: { enabled: true },
      devInteractions: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    fetch: (url, options) => { // the one it comes with refuses loopback, where the tests' relying parties are
      delete options.dispatcher;
      return globalThis.fetch(url, options);
    },
    findAccount,
    jwks: { keys: [keys.private] },
    loadExistingGrant,
    pkce: { required: () => true },
    scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
  });
  provider.use(async (ctx, next) => {
    await next();
    await misbehave(ctx, state, keys);
  });
  return provider;
}

async function readJson(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

/** Answers the calls under /control: `[status, body]`. */
async function control(request, keys) {
  const [what, name] = request.url.split('/').slice(2).map(decodeURIComponent);
  switch (`${request.method} ${what}`) {
    case 'PUT fault':
      if (!Object.hasOwn(FAULTS, name)) return [404, `no fault named ${name}`];
      state.fault = name;
      return [204];
    case 'DELETE fault':
      state.fault = undefined;
      return [204];
    case 'PUT client':
      addClient(name, (await readJson(request)).rp);
      return [204];
    case 'PUT user':
      USERS.set(name, { ...USERS.get(name), ...(await readJson(request)) });
      return [204];
    case 'DELETE user':
      USERS.delete(name);
      return [204];
    case 'POST sign': {
      const { claims = {}, header = {}, key = 'provider' } = await readJson(request);
      return [200, await keys.sign(claims, header, key)];
    }
    case 'GET last':
      return state.last ? [200, JSON.stringify(state.last)] : [404, 'no ID token has been issued'];
    default:
      return [404, `no such control: ${request.method} ${request.url}`];
  }
}

async function main() {
  const { PORT = '9500', RP = 'http://127.0.0.1:8080', ISSUER, FAULT } = process.env;
  if (FAULT && !Object.hasOwn(FAULTS, FAULT)) throw new Error(`FAULT=${FAULT}: no such fault`);
  state.fault = FAULT || undefined;
  RP.split(',').forEach((rp, index) => addClient(index ? `slipway-${index + 1}` : 'slipway', rp.trim()));

  const keys = await Keys.generate(SECRET);
  let answer; // made once the port, and so the issuer, is known: before any request can be read
  const server = createServer(async (request, response) => {
    if (!request.url.startsWith('/control/')) return answer(request, response);
    const [status, body] = await control(request, keys).catch((error) => [400, String(error)]);
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(body);
  });
  const issuer = await new Promise((resolve, reject) => {
    server.once('error', reject).listen(Number(PORT), '127.0.0.1', () => {
      const address = ISSUER ?? `http://127.0.0.1:${server.address().port}`;
      answer = build(address, keys).callback();
      resolve(address);
    });
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
  process.stdout.on('error', () => {}); // whoever waited for the line may have closed the pipe since
  console.log(`ready ${issuer}`);
}

await main();
