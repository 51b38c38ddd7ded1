// Does the provider do what the tests rely on? A whole login by plain requests, and every fault seen to take effect.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import * as jose from 'jose';
import { FAULTS } from './faults.mjs';

const RP = 'http://127.0.0.1:8080';
const SECRET = 'for-tests-only-for-tests-only-32';
let issuer, child;

before(async () => {
  child = spawn(process.execPath, [new URL('provider.mjs', import.meta.url).pathname], {
    env: { ...process.env, PORT: '0', RP: `${RP},http://127.0.0.1:8090` },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  for await (const chunk of child.stdout) {
    issuer = /^ready (.*)$/m.exec(chunk)?.[1];
    if (issuer) break;
  }
});
after(() => child.kill());

const control = async (method, path, body) => {
  const answer = await fetch(`${issuer}/control/${path}`, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.text();
};

/** A browser of one login: keeps cookies, follows redirects within the provider, returns what the RP is sent. */
async function authorize(user, client = 'slipway', rp = RP) {
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  const query = new URLSearchParams({
    client_id: client, response_type: 'code', scope: 'openid profile email groups', state: 'a-state',
    nonce: 'a-nonce', redirect_uri: `${rp}/auth/callback`, code_challenge: challenge, code_challenge_method: 'S256',
  });
  const cookies = new Map();
  let url = `${issuer}/auth?${query}`, body;
  for (let hop = 0; hop < 10; hop += 1) {
    const answer = await fetch(url, {
      method: body ? 'POST' : 'GET', body, redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split('=');
      cookies.set(name, value);
    }
    const location = answer.headers.get('location');
    if (!location) {
      url = new URL(/action="([^"]+)"/.exec(await answer.text())[1], issuer).href;
      body = new URLSearchParams({ prompt: 'login', login: user, password: 'any' });
      continue;
    }
    body = undefined;
    url = new URL(location, issuer).href;
    if (url.startsWith(rp)) return { query: new URL(url).searchParams, verifier, client, rp };
  }
  throw new Error('more than ten hops');
}

async function redeem({ query, verifier, client, rp }) {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client}:${SECRET}`)}` },
    body: new URLSearchParams({
      grant_type: 'authorization_code', code: query.get('code'), redirect_uri: `${rp}/auth/callback`,
      code_verifier: verifier,
    }),
  });
  return { status: answer.status, ...(await answer.json()) };
}

async function login(user, client, rp) {
  const back = await authorize(user, client, rp);
  const tokens = await redeem(back);
  const answer = await fetch(`${issuer}/me`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  return { query: back.query, tokens, userinfo: await answer.json() };
}

/** What a careful relying party does with an ID token. */
const verify = (token) => jose.jwtVerify(token, jose.createRemoteJWKSet(new URL(`${issuer}/jwks`)), {
  issuer, audience: 'slipway', algorithms: ['RS256'], requiredClaims: ['sub', 'iat', 'exp', 'nonce'],
});

test('an honest login tells who it is, with groups', async () => {
  const { query, tokens, userinfo } = await login('alice');
  const { payload } = await verify(tokens.id_token);
  assert.equal(query.get('state'), 'a-state');
  assert.equal(query.get('iss'), issuer);
  assert.equal(payload.nonce, 'a-nonce');
  assert.ok(payload.sid);
  assert.deepEqual(payload.groups, ['admins', 'ml-deployers']);
  assert.deepEqual(userinfo.groups, ['admins', 'ml-deployers']);
  assert.equal(JSON.parse(await control('GET', 'last')).sub, 'alice');
});

test('somebody without groups has an empty list, and groups can change between logins', async () => {
  assert.deepEqual((await login('carol')).userinfo.groups, []);
  await control('PUT', 'user/carol', { groups: ['data-science'] });
  assert.deepEqual((await login('carol')).userinfo.groups, ['data-science']);
});

test('relying parties: a second one from the environment, a third one added while it runs', async () => {
  await login('bob', 'slipway-2', 'http://127.0.0.1:8090');
  await control('PUT', 'client/late', { rp: 'http://127.0.0.1:8099' });
  const { tokens } = await login('bob', 'late', 'http://127.0.0.1:8099');
  assert.equal(jose.decodeJwt(tokens.id_token).aud, 'late');
});

test('tokens are signed on request, by the key that is asked for', async () => {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: 'slipway', sub: 'bob', iat: now, exp: now + 60, nonce: 'n' };
  await verify(await control('POST', 'sign', { claims }));
  for (const key of ['stranger', 'next', 'secret', 'public', 'none']) {
    await assert.rejects(verify(await control('POST', 'sign', { claims, key })), undefined, key);
  }
});

/** An answer of a login under a fault, told apart from an honest one's. */
const outcome = async () => {
  const back = await authorize('bob');
  const seen = { query: Object.fromEntries(back.query), discovery: await (await fetch(`${issuer}/.well-known/openid-configuration`)).json() };
  if (!back.query.has('code')) return seen;
  const tokens = await redeem(back);
  seen.status = tokens.status;
  seen.jwks = await (await fetch(`${issuer}/jwks`)).json();
  if (!tokens.id_token) return seen;
  const jwks = seen.jwks.keys ? jose.createLocalJWKSet(seen.jwks) : () => { throw new Error('no keys'); };
  seen.signed = await jose.compactVerify(tokens.id_token, jwks, { algorithms: ['RS256'] }).then(() => true, () => false);
  seen.header = jose.decodeProtectedHeader(tokens.id_token);
  seen.claims = jose.decodeJwt(tokens.id_token);
  seen.userinfo = await (await fetch(`${issuer}/me`, { headers: { authorization: `Bearer ${tokens.access_token}` } })).json();
  seen.lifetime = seen.claims.exp - Math.floor(Date.now() / 1000) > 0;
  delete seen.query.code;
  for (const claim of ['iat', 'exp', 'sid', 'auth_time', 'at_hash']) {
    if (claim in seen.claims) seen.claims[claim] = 'present';
  }
  return seen;
};

test('every fault changes the outcome, and taking it away mends it', async (t) => {
  const honest = await outcome();
  assert.equal(honest.signed, true);
  for (const name of Object.keys(FAULTS).filter((fault) => fault !== 'slow')) {
    await t.test(name, async () => {
      await control('PUT', `fault/${name}`);
      assert.notDeepEqual(await outcome(), honest);
      await control('DELETE', 'fault');
      assert.deepEqual(await outcome(), honest);
    });
  }
});

test('an unknown fault is refused', async () => {
  assert.equal((await fetch(`${issuer}/control/fault/no-such`, { method: 'PUT' })).status, 404);
});
