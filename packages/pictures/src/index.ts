export { PICTURE_MEDIA_TYPE, pictureHeaders, readPicture, renderSizes, type Crop, type Rendering } from './picture.ts'
export { newPictureKey, PictureStore } from './picture-store.ts'
