/** What commands about other things need of images. */
export { architecture, openImages } from '../images/open.js';
