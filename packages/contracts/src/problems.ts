import { problem } from './problem.ts'

// Each constant here is a kind of error and has a page. First, what is about no service in particular.

export const invalidRequest = problem({
  name: 'invalid-request',
  title: 'The request is not valid',
  status: 400,
  explanation:
    'A part of the request does not have the documented form. `errors` lists each place by JSON pointer with what is wrong there: a sentence, and for programs a `code`. Nothing was changed: mend those places and send it again.',
})
export const malformedBody = problem({
  name: 'malformed-body',
  title: 'The body cannot be read',
  status: 400,
  explanation: 'The body is not valid JSON in UTF-8, or was cut off. Nothing was changed: send it whole.',
})
export const notSignedIn = problem({
  name: 'not-signed-in',
  title: 'Sign in first',
  status: 401,
  explanation:
    'The route needs a valid access token: none was sent, or it has expired or was revoked. Refresh it or sign in again.',
})
export const forbidden = problem({
  name: 'forbidden',
  title: 'You may not do this',
  status: 403,
  explanation:
    'Your account does not have the role this route needs: an administrator can give it. The same is answered to a request that did not come through the edge, and to one from another site with the cookie of this one.',
})
export const notFound = problem({
  name: 'not-found',
  title: 'There is no such thing',
  status: 404,
  explanation:
    'It does not exist, or it is not yours to see; the two are answered alike on purpose. Check the path, and whom you are signed in as.',
})
export const bodyTooLarge = problem({
  name: 'body-too-large',
  title: 'The body is too large',
  status: 413,
  explanation:
    'The body is longer than the route accepts. Nothing was changed. Send less: JSON may have 128 KiB, a file as much as the API description says.',
})
export const unsupportedMediaType = problem({
  name: 'unsupported-media-type',
  title: 'The media type is not supported',
  status: 415,
  explanation: 'Send the content type that the API description names for this route.',
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
    'The request failed for a reason that is not yours. Try again later; if it stays, tell whoever runs the shop the `instance`, under which the log has the cause.',
})
export const dependencyUnavailable = problem({
  name: 'dependency-unavailable',
  title: 'A part of the shop is not available right now',
  status: 503,
  explanation:
    'Something that this route needs is down or overloaded. Try again after `Retry-After` seconds; a write with an idempotency key can be repeated safely.',
})
export const preconditionRequired = problem({
  name: 'precondition-required',
  title: 'Say which version you are changing',
  status: 428,
  explanation: 'Send `If-Match` with the ETag you last read, so that nobody else’s change is overwritten.',
})
export const versionChanged = problem({
  name: 'version-changed',
  title: 'Somebody changed it in the meantime',
  status: 412,
  explanation: 'The thing has a newer version than the one in `If-Match`. Read it again, then repeat your change.',
})

// auth

export const wrongCredentials = problem({
  name: 'wrong-credentials',
  title: 'The email, password or code is not right',
  status: 401,
  explanation:
    'No account signs in with what was sent. Which part is wrong is not said, on purpose. Correct it, have a code mailed to sign in with, or set a new password.',
})
export const addressNotVerified = problem({
  name: 'address-not-verified',
  title: 'The address is not verified yet',
  status: 403,
  explanation:
    'The password is right, but nobody has proven the address yet. A new link and code were mailed to it, unless one was sent a moment ago: open the link or type the code.',
})
export const accountDisabled = problem({
  name: 'account-disabled',
  title: 'The account is disabled',
  status: 403,
  explanation: 'The password or code is right, but an administrator has shut the account. Ask them why.',
})
export const secondFactorRequired = problem({
  name: 'second-factor-required',
  title: 'A second factor is needed',
  status: 403,
  explanation:
    'Administrators work with a second factor only: set up an authenticator app or a passkey on the account page, then refresh. Where one is set up, prove it with that; the password alone is not enough.',
})
export const reauthenticationRequired = problem({
  name: 'reauthentication-required',
  title: 'Prove again who you are',
  status: 403,
  explanation:
    'What can open an account is changed only shortly after signing in. Prove who you are with `POST /auth/reauthenticate`, then repeat the request.',
})
export const passkeyNotAccepted = problem({
  name: 'passkey-not-accepted',
  title: 'The passkey cannot be used',
  status: 422,
  explanation:
    'It was made for another site, too late, or without unlocking it; or the account has as many passkeys as it may have. Begin again.',
})
export const providerRefused = problem({
  name: 'provider-refused',
  title: 'The provider did not sign you in',
  status: 403,
  explanation: 'You declined, or what the provider sent does not fit what was asked. Begin again.',
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
  title: 'The account has as many linked providers as it may have',
  status: 422,
  explanation: 'At most 20 accounts at providers open one account. Unlink one of them first.',
})
export const wrongToken = problem({
  name: 'wrong-token',
  title: 'The link or code is not valid',
  status: 400,
  explanation: 'It was used already, has expired, or a newer one was sent. Ask for a new one.',
})
export const addressTaken = problem({
  name: 'address-taken',
  title: 'The address belongs to another account',
  status: 409,
  explanation:
    'You have proven that you read the mailbox, so you may know: another account has this address. Sign in to that one, or choose another address.',
})
export const weakPassword = problem({
  name: 'weak-password',
  title: 'The password is too easy to guess',
  status: 422,
  explanation:
    'Use at least 15 characters that are not a common password, your address or your name. Any characters will do.',
})
export const imageNotAccepted = problem({
  name: 'image-not-accepted',
  title: 'The picture cannot be used',
  status: 422,
  explanation:
    'Send a whole PNG, JPEG, WebP or GIF file of at most 24 million pixels and 16,384 in width and height. What the route says of its size holds too. A picture that takes too much memory to decode can be sent as a plain JPEG or with fewer pixels.',
})
export const bootstrapClosed = problem({
  name: 'bootstrap-closed',
  title: 'The first administrator exists already',
  status: 409,
  explanation: 'The bootstrap token makes one administrator, once. Ask that administrator to give you the role.',
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
  explanation: 'A SKU names one product. Choose another, or change the product that has it.',
})
export const stockTooLow = problem({
  name: 'stock-too-low',
  title: 'There is not so much in stock',
  status: 409,
  explanation:
    'The change would make the stock negative. Nothing was changed. Read the product again and take no more than there is.',
})

// orders

export const cartEmpty = problem({
  name: 'cart-empty',
  title: 'There is nothing to order',
  status: 422,
  explanation:
    'The cart is empty and the request names no lines. An order empties the cart: look whether there is one already, else put something in.',
})
export const productNotForSale = problem({
  name: 'product-not-for-sale',
  title: 'A product is not for sale',
  status: 422,
  explanation:
    'A line names a product that does not exist or was taken out of the catalogue. `errors` points at the line: leave it out.',
})
export const mixedCurrencies = problem({
  name: 'mixed-currencies',
  title: 'One order, one currency',
  status: 422,
  explanation: 'The lines have prices in different currencies. Order them separately.',
})
export const idempotencyKeyMissing = problem({
  name: 'idempotency-key-missing',
  title: 'Send an Idempotency-Key',
  status: 400,
  explanation:
    'An order with explicit lines needs a key of your making in the header `Idempotency-Key`, so that a repeated request makes one order. Make one an attempt, and repeat it with the attempt.',
})
export const idempotencyKeyReused = problem({
  name: 'idempotency-key-reused',
  title: 'The key was used for something else',
  status: 422,
  explanation: 'An earlier request with this Idempotency-Key had another body. Make a new key for each new request.',
})
export const orderNotCancellable = problem({
  name: 'order-not-cancellable',
  title: 'The order can no longer be cancelled',
  status: 409,
  explanation:
    'It was rejected, so there is nothing to cancel and nothing to do. Cancelling an order twice is no error.',
})
export const cartFull = problem({
  name: 'cart-full',
  title: 'The cart is full',
  status: 422,
  explanation: 'A cart holds at most 100 different products. Order what is in it, or take something out.',
})
export const totalTooLarge = problem({
  name: 'total-too-large',
  title: 'The total is too large',
  status: 422,
  explanation: 'The sum is more than the largest amount that can be handled exactly. Order less at once.',
})
export const totalChanged = problem({
  name: 'total-changed',
  title: 'It costs something else now',
  status: 409,
  explanation:
    'A price has changed since the customer was shown the `total` that the request names. Nothing was ordered. Read the cart again, show it, and order it at its new total.',
})

// notifications

export const mailNotResendable = problem({
  name: 'mail-not-resendable',
  title: 'The mail cannot be sent again',
  status: 409,
  explanation:
    'It carried a code or link, which is erased once the mail is sent, refused or expired. The person it was for can ask for a new one.',
})

export const scheduleTaken = problem({
  name: 'schedule-taken',
  title: 'The id belongs to another schedule',
  status: 409,
  explanation:
    'A schedule with this id exists and says something else. Schedules do not change: cancel it and make another.',
})
export const scheduleEnded = problem({
  name: 'schedule-ended',
  title: 'It is too late for that',
  status: 409,
  explanation:
    'The schedule was due already, or was cancelled. Mails that it made are sent. Make another schedule under another id.',
})

// operators of every service

export const deadLetterEnded = problem({
  name: 'dead-letter-ended',
  title: 'The dead letter has ended',
  status: 409,
  explanation:
    'One that was replayed was applied and can be neither dismissed nor reopened. One that was dismissed is not replayed by accident: reopen it first.',
})
