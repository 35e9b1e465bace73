export { PictureDecoder } from './picture-decoder.ts'
export { pictureHeaders } from './picture.ts'
export { newPictureKey, PictureStore } from './picture-store.ts'
export type { Crop } from './rendering.ts'
