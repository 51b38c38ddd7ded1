// How the provider can misbehave. One fault is in force at a time; each says what of an honest answer it changes:
//
//   idToken(claims, header)  edits the ID token, which is then signed anew with `key` (the provider's own if none)
//   userinfo(claims)         edits the userinfo answer
//   discovery(document)      edits the metadata
//   jwks(set, keys)          edits the published keys
//   callback(query)          edits what the browser carries back
//   fail                     the routes that answer 500; `delay` the milliseconds that every route waits
import { decodeJwt, decodeProtectedHeader } from 'jose';

const HOUR = 3600;
const without = (name) => (claims) => { delete claims[name]; };
const set = (name, value) => (claims) => { claims[name] = value; };
const groups = (value) => ({ idToken: set('groups', value), userinfo: set('groups', value) });

export const FAULTS = {
  // The token is not for this login, this client or this time.
  'issuer': { idToken: set('iss', 'http://stranger.example.test') },
  'issuer-slash': { idToken: (claims) => { claims.iss += '/'; } },
  'audience': { idToken: set('aud', 'somebody-else') },
  'audience-missing': { idToken: without('aud') },
  'audience-several': { idToken: (claims) => { claims.aud = [claims.aud, 'somebody-else']; } },
  'azp': { idToken: (claims) => { claims.aud = [claims.aud, 'other']; claims.azp = 'other'; } },
  'nonce': { idToken: set('nonce', 'not-the-one-that-was-sent') },
  'nonce-missing': { idToken: without('nonce') },
  'expired': { idToken: (claims) => { claims.iat -= 2 * HOUR; claims.exp = claims.iat + HOUR; } },
  'exp-missing': { idToken: without('exp') },
  'iat-missing': { idToken: without('iat') },
  'sub-missing': { idToken: without('sub') },
  'sub-empty': { idToken: set('sub', '') },

  // The token is not signed by this provider.
  'signature': { key: 'stranger' },
  'alg-none': { key: 'none' },
  'alg-client-secret': { key: 'secret' },
  'alg-public-key': { key: 'public' },
  'kid-unknown': { idToken: (_claims, header) => { header.kid = 'nobody-knows-it'; }, key: 'stranger' },
  // Not a fault of the provider's: a relying party must cope.
  'kid-missing': { idToken: (_claims, header) => { header.kid = null; } },
  'rotated': { key: 'next', jwks: (jwks, keys) => { jwks.keys = [keys.published('next')]; } },

  // What it tells about the person.
  'groups-missing': { idToken: without('groups'), userinfo: without('groups') },
  'groups-userinfo-only': { idToken: without('groups') },
  'groups-string': groups('admins'),
  'groups-number': groups(7),
  'groups-nested': groups([['admins'], { name: 'admins' }]),
  'groups-hostile': groups(['<script>alert(1)</script>', 'a\r\nb', '', ' admins ', 'ml-deployers']),
  'userinfo-sub': { userinfo: set('sub', 'mallory') },
  'name-hostile': { idToken: set('name', '<img src=x onerror=alert(1)>'), userinfo: set('name', '<img src=x onerror=alert(1)>') },

  // What the browser brings back.
  'state': { callback: (query) => query.set('state', 'not-the-one-that-was-sent') },
  'state-missing': { callback: (query) => query.delete('state') },
  'callback-issuer': { callback: (query) => query.set('iss', 'http://stranger.example.test') },
  'code': { callback: (query) => query.set('code', 'never-issued') },
  'denied': {
    callback: (query) => {
      query.delete('code');
      query.set('error', 'access_denied');
      query.set('error_description', 'The <b>person</b> said no');
    },
  },

  // The provider itself is in trouble.
  'discovery-issuer': { discovery: (document) => { document.issuer = 'http://stranger.example.test'; } },
  'discovery-down': { fail: ['discovery'] },
  'jwks-down': { fail: ['jwks'] },
  'token-down': { fail: ['token'] },
  'userinfo-down': { fail: ['userinfo'] },
  'slow': { delay: 15_000 },
};

/** Spoils the provider's finished answer as the fault in force says, and notes each ID token's claims. */
export async function misbehave(ctx, state, keys) {
  const route = ctx.oidc?.route;
  const fault = FAULTS[state.fault] ?? {};
  if (fault.delay) await new Promise((resolve) => { setTimeout(resolve, fault.delay); });
  if (fault.fail?.includes(route)) {
    ctx.status = 500;
    ctx.body = { error: 'server_error', error_description: 'the tests asked for this' };
    return;
  }
  if (route === 'discovery') fault.discovery?.(ctx.body);
  if (route === 'jwks') fault.jwks?.(ctx.body, keys);
  if (route === 'userinfo') fault.userinfo?.(ctx.body);
  if (route === 'token' && ctx.body?.id_token) {
    if (fault.idToken || fault.key) ctx.body.id_token = await forge(ctx.body.id_token, fault, keys);
    state.last = decodeJwt(ctx.body.id_token);
  }
  const redirect = ctx.oidc?.params?.redirect_uri;
  const location = ctx.response.get('location');
  if (fault.callback && redirect && location?.startsWith(redirect)) {
    const url = new URL(location);
    fault.callback(url.searchParams);
    ctx.set('location', url.href);
  }
}

async function forge(token, fault, keys) {
  const claims = decodeJwt(token);
  const header = decodeProtectedHeader(token);
  fault.idToken?.(claims, header);
  return keys.sign(claims, header, fault.key ?? 'provider');
}
