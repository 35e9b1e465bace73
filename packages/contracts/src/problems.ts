import { problem } from './problem.ts'

// Each constant here is a kind of error and has a page. First, what is about no service in particular.

export const invalidRequest = problem({
  name: 'invalid-request',
  title: 'The request is not valid',
  status: 400,
  explanation:
    'Part of the request does not have the documented form. `errors` lists each problem with a JSON pointer to where it is, a sentence, and a `code` for programs. Nothing was changed: correct these places and send the request again.',
})
export const malformedBody = problem({
  name: 'malformed-body',
  title: 'The body cannot be read',
  status: 400,
  explanation: 'The body is not valid JSON in UTF-8, or was cut off. Nothing was changed: send the complete body.',
})
export const notSignedIn = problem({
  name: 'not-signed-in',
  title: 'Sign in first',
  status: 401,
  explanation:
    'This route needs a valid access token. None was sent, or the one sent has expired or was revoked. Refresh it or sign in again.',
})
export const forbidden = problem({
  name: 'forbidden',
  title: 'You may not do this',
  status: 403,
  explanation:
    'Your account lacks the role that this route needs; an administrator can grant it. A request that did not come through the edge gets the same answer, and so does one sent by another site with this site’s cookie.',
})
export const notFound = problem({
  name: 'not-found',
  title: 'Not found',
  status: 404,
  explanation:
    'It does not exist, or you may not see it; the answer is deliberately the same for both. Check the path and which account you are signed in with.',
})
export const bodyTooLarge = problem({
  name: 'body-too-large',
  title: 'The body is too large',
  status: 413,
  explanation:
    'The body is larger than this route accepts. Nothing was changed. JSON bodies may have up to 128 KiB; for files, the API description states the limit.',
})
export const unsupportedMediaType = problem({
  name: 'unsupported-media-type',
  title: 'The media type is not supported',
  status: 415,
  explanation:
    'Send the content type that the API description states for this route, and the body as it is: one with a Content-Encoding, such as gzip, is not read.',
})
export const tooManyRequests = problem({
  name: 'too-many-requests',
  title: 'Too many requests',
  status: 429,
  explanation: 'Wait for the number of seconds in `Retry-After`, then try again.',
})
export const internalError = problem({
  name: 'internal-error',
  title: 'Something went wrong on our side',
  status: 500,
  explanation:
    'The request failed, and not through any fault of yours. Try again later. If it keeps failing, give the `instance` to whoever runs the shop: the log has the cause under it.',
})
export const dependencyUnavailable = problem({
  name: 'dependency-unavailable',
  title: 'Part of the shop is not available right now',
  status: 503,
  explanation:
    'Something this route depends on is down or overloaded. Try again after `Retry-After` seconds; a write with an idempotency key can be repeated safely.',
})
export const preconditionRequired = problem({
  name: 'precondition-required',
  title: 'Say which version you are changing',
  status: 428,
  explanation: 'Send `If-Match` with the ETag you last read, so that you do not overwrite somebody else’s change.',
})
export const versionChanged = problem({
  name: 'version-changed',
  title: 'Somebody changed it in the meantime',
  status: 412,
  explanation: 'There is a newer version than the one in `If-Match`. Read it again, then repeat your change.',
})

// auth

export const wrongCredentials = problem({
  name: 'wrong-credentials',
  title: 'The email, password or code is not right',
  status: 401,
  explanation:
    'What was sent does not sign in to any account. Which part is wrong is deliberately not said. Correct it, have a sign-in code mailed to you, or set a new password.',
})
export const addressNotVerified = problem({
  name: 'address-not-verified',
  title: 'The address is not verified yet',
  status: 403,
  explanation:
    'The password is right, but the address has not been verified yet. A new link and code were mailed to it, unless some were sent a moment ago: open the link or enter the code.',
})
export const accountDisabled = problem({
  name: 'account-disabled',
  title: 'The account is disabled',
  status: 403,
  explanation: 'The password or code is right, but an administrator has disabled the account. Ask them why.',
})
export const secondFactorRequired = problem({
  name: 'second-factor-required',
  title: 'A second factor is needed',
  status: 403,
  explanation:
    'Administrators need a second factor: set up an authenticator app or a passkey on the account page, then refresh the access token. If one is set up already, use it; the password alone is not enough.',
})
export const reauthenticationRequired = problem({
  name: 'reauthentication-required',
  title: 'Prove again who you are',
  status: 403,
  explanation:
    'Ways to sign in can be changed only shortly after signing in. Prove who you are with `POST /auth/reauthenticate`, then repeat the request.',
})
export const passkeyNotAccepted = problem({
  name: 'passkey-not-accepted',
  title: 'The passkey cannot be used',
  status: 422,
  explanation:
    'It was created for another site, arrived too late, or was not unlocked; or the account already has the maximum number of passkeys. Start again.',
})
export const providerRefused = problem({
  name: 'provider-refused',
  title: 'The provider did not sign you in',
  status: 403,
  explanation: 'You declined, or the provider’s answer does not match the request. Start again.',
})
export const identityNotLinked = problem({
  name: 'identity-not-linked',
  title: 'This account at the provider is not linked yet',
  status: 403,
  explanation: 'Sign in as you did before, then link the provider on the account page.',
})
export const identityTaken = problem({
  name: 'identity-taken',
  title: 'This account at the provider is linked to another account',
  status: 409,
  explanation: 'Sign in to that account and unlink it there first.',
})
export const identitiesFull = problem({
  name: 'identities-full',
  title: 'The account cannot have more linked providers',
  status: 422,
  explanation: 'Up to 20 accounts at providers can be linked to one account. Unlink one of them first.',
})
export const wrongToken = problem({
  name: 'wrong-token',
  title: 'The link or code is not valid',
  status: 400,
  explanation: 'It has already been used, has expired, or was replaced by a newer one. Ask for a new one.',
})
export const addressTaken = problem({
  name: 'address-taken',
  title: 'The address belongs to another account',
  status: 409,
  explanation:
    'You have proven that you can read this mailbox, so you may know: another account has this address. Sign in to that one, or choose another address.',
})
export const weakPassword = problem({
  name: 'weak-password',
  title: 'The password is too easy to guess',
  status: 422,
  explanation:
    'Use at least 15 characters, of any kind. Common passwords, your address and your name are not accepted.',
})
export const imageNotAccepted = problem({
  name: 'image-not-accepted',
  title: 'The picture cannot be used',
  status: 422,
  explanation:
    'Send a complete PNG, JPEG, WebP or GIF file of at most 24 million pixels, and at most 16,384 pixels wide and high, within the route’s limit on file size. If a picture takes too much memory to decode, send it as a plain JPEG or with fewer pixels.',
})
export const bootstrapClosed = problem({
  name: 'bootstrap-closed',
  title: 'The first administrator already exists',
  status: 409,
  explanation: 'The bootstrap token creates one administrator, once. Ask that administrator to give you the role.',
})
export const lastAdministrator = problem({
  name: 'last-administrator',
  title: 'This is the last administrator',
  status: 409,
  explanation: 'Make somebody else an administrator first.',
})

// products

export const skuTaken = problem({
  name: 'sku-taken',
  title: 'Another product has this SKU',
  status: 409,
  explanation: 'A SKU identifies one product. Choose another SKU, or change the product that has this one.',
})
export const stockTooLow = problem({
  name: 'stock-too-low',
  title: 'Not enough in stock',
  status: 409,
  explanation:
    'The change would make the stock negative. Nothing was changed. Read the product again and take no more than is in stock.',
})

// orders

export const cartEmpty = problem({
  name: 'cart-empty',
  title: 'There is nothing to order',
  status: 422,
  explanation:
    'The cart is empty and the request has no lines. Placing an order empties the cart, so check whether it has been placed already; otherwise add something.',
})
export const productNotForSale = problem({
  name: 'product-not-for-sale',
  title: 'A product is not for sale',
  status: 422,
  explanation:
    'A line names a product that does not exist or was removed from the catalogue. `errors` points to the line: leave it out.',
})
export const mixedCurrencies = problem({
  name: 'mixed-currencies',
  title: 'An order has one currency',
  status: 422,
  explanation: 'The lines have prices in different currencies. Place an order for each currency.',
})
export const idempotencyKeyMissing = problem({
  name: 'idempotency-key-missing',
  title: 'Send an Idempotency-Key',
  status: 400,
  explanation:
    'An order with explicit lines needs a key that you generate in the `Idempotency-Key` header, so that repeating the request does not place a second order. Use a new key for each order and the same key whenever you retry it.',
})
export const idempotencyKeyReused = problem({
  name: 'idempotency-key-reused',
  title: 'The key was used for something else',
  status: 422,
  explanation: 'An earlier request with this Idempotency-Key had a different body. Use a new key for each new request.',
})
export const orderNotCancellable = problem({
  name: 'order-not-cancellable',
  title: 'The order can no longer be cancelled',
  status: 409,
  explanation:
    'It was rejected, so there is nothing to cancel and nothing to do. Cancelling an order twice is not an error.',
})
export const cartFull = problem({
  name: 'cart-full',
  title: 'The cart is full',
  status: 422,
  explanation: 'A cart holds at most 100 different products. Order what is in it, or remove something.',
})
export const totalTooLarge = problem({
  name: 'total-too-large',
  title: 'The total is too large',
  status: 422,
  explanation: 'The total exceeds the largest amount that can be handled exactly. Split it into smaller orders.',
})
export const totalChanged = problem({
  name: 'total-changed',
  title: 'The total has changed',
  status: 409,
  explanation:
    'A price has changed since the customer was shown the `total` in the request. Nothing was ordered. Read the cart again, show the customer the new total, and order with that.',
})

// notifications

export const mailNotResendable = problem({
  name: 'mail-not-resendable',
  title: 'The mail cannot be sent again',
  status: 409,
  explanation:
    'It contained a code or link, which is erased once the mail has been sent, was refused or has expired. The recipient can ask for a new one.',
})

export const scheduleTaken = problem({
  name: 'schedule-taken',
  title: 'The id belongs to another schedule',
  status: 409,
  explanation:
    'A different schedule with this id already exists. Schedules cannot be edited: cancel that one and create another.',
})
export const scheduleEnded = problem({
  name: 'schedule-ended',
  title: 'It is too late for that',
  status: 409,
  explanation:
    'The schedule was already due, or was cancelled. Mails it has created are still sent. Create another schedule under a new id.',
})

// operators of every service

export const deadLetterEnded = problem({
  name: 'dead-letter-ended',
  title: 'The dead letter has ended',
  status: 409,
  explanation:
    'A replayed dead letter has been applied and can be neither dismissed nor reopened. To replay a dismissed one, reopen it first.',
})
