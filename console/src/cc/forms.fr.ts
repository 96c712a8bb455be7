export { lang, translations } from '@clevercloud/components/dist/translations.fr.js?forms';
