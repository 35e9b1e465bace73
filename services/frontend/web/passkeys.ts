import type { PasskeyAssertion, PasskeyAttestation } from '@saas/contracts'

/** Somebody closed the browser's question about a passkey; that is no failure. */
export class PasskeyDeclined extends Error {}

export function canUsePasskeys(): boolean {
  return 'PublicKeyCredential' in globalThis
}

/** Asks the browser for a new passkey. @throws {PasskeyDeclined} */
export async function makePasskey(options: unknown): Promise<PasskeyAttestation> {
  const { startRegistration } = await import('@simplewebauthn/browser')
  const made = await unlessDeclined(
    startRegistration({ optionsJSON: options as Parameters<typeof startRegistration>[0]['optionsJSON'] }),
  )
  const { id, rawId, response } = made
  const { clientDataJSON, attestationObject, transports } = response
  return {
    id,
    rawId,
    type: 'public-key',
    clientExtensionResults: {},
    response: { clientDataJSON, attestationObject, ...(transports === undefined ? {} : { transports }) },
  }
}

/** Asks the browser to sign with a passkey. @throws {PasskeyDeclined} */
export async function signWithPasskey(options: unknown): Promise<PasskeyAssertion> {
  const { startAuthentication } = await import('@simplewebauthn/browser')
  const signed = await unlessDeclined(
    startAuthentication({ optionsJSON: options as Parameters<typeof startAuthentication>[0]['optionsJSON'] }),
  )
  const { id, rawId, response } = signed
  const { clientDataJSON, authenticatorData, signature, userHandle } = response
  return {
    id,
    rawId,
    type: 'public-key',
    clientExtensionResults: {},
    response: { clientDataJSON, authenticatorData, signature, ...(userHandle === undefined ? {} : { userHandle }) },
  }
}

async function unlessDeclined<T>(asking: Promise<T>): Promise<T> {
  try {
    return await asking
  } catch (error) {
    // The browser does not say whether there was none, or it was declined.
    throw new PasskeyDeclined('No passkey was used.', { cause: error })
  }
}
