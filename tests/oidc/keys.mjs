// The keys that tokens are signed with: the provider's own, and those that a relying party must not accept.
import { randomUUID } from 'node:crypto';
import * as jose from 'jose';

async function pair(kid) {
  const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await jose.exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' };
  const { kty, n, e } = jwk;
  return { jwk, public: { kty, n, e, kid, alg: 'RS256', use: 'sig' } };
}

export class Keys {
  /**
   * provider: published, signs everything that is honest;
   * next:     published only under the fault `rotated`;
   * stranger: never published.
   */
  static async generate(secret) {
    const keys = new Keys();
    keys.secret = secret;
    keys.pairs = {
      provider: await pair(`provider-${randomUUID()}`),
      next: await pair(`next-${randomUUID()}`),
      stranger: await pair(`stranger-${randomUUID()}`),
    };
    return keys;
  }

  get private() {
    return this.pairs.provider.jwk;
  }

  /** The public key of that name, as it stands in a key set. */
  published(name) {
    return this.pairs[name].public;
  }

  /**
   * Signs `claims`. Besides the pairs: `secret` is HMAC with the client's secret, `public` is HMAC with the
   * provider's public key (the classic confusion of algorithms), `none` signs nothing. A `kid` of null in `header`
   * leaves the kid out; `stranger` claims the provider's kid, so that only its signature tells.
   */
  async sign(claims, header, name) {
    const base = { typ: 'JWT', kid: this.private.kid, ...header };
    if (base.kid === null) delete base.kid;
    if (name === 'none') {
      return `${encode({ ...base, alg: 'none' })}.${encode(claims)}.`;
    }
    if (name === 'secret' || name === 'public') {
      return raw(claims, { ...base, alg: 'HS256' }, await this.hmac(name));
    }
    const kid = name === 'next' ? { kid: this.pairs.next.jwk.kid } : {};
    return raw(claims, { ...base, ...kid, alg: 'RS256' }, await jose.importJWK(this.pairs[name].jwk, 'RS256'));
  }

  async hmac(name) {
    if (name === 'secret') return new TextEncoder().encode(this.secret);
    const key = await jose.importJWK(this.published('provider'), 'RS256', { extractable: true });
    return new TextEncoder().encode(await jose.exportSPKI(key));
  }
}

const encode = (value) => jose.base64url.encode(JSON.stringify(value));

/** Signs whatever claims there are; `SignJWT` would refuse some of those that attacks need. */
const raw = (claims, header, key) =>
  new jose.CompactSign(new TextEncoder().encode(JSON.stringify(claims))).setProtectedHeader(header).sign(key);
