// The package ships no types: what we take of it is typed here, in the adapter, and nowhere else.
declare module '@clevercloud/components/dist/*';
declare module '*.css';
