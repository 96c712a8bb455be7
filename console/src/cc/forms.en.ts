export { lang, translations } from '@clevercloud/components/dist/translations.en.js?forms';
