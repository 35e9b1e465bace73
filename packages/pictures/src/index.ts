export { PictureDecoder } from './picture-decoder.ts'
export { PICTURE_MEDIA_TYPE, pictureHeaders } from './picture.ts'
export { newPictureKey, PictureStore } from './picture-store.ts'
export type { Crop, RenderedPicture, Rendering } from './rendering.ts'
