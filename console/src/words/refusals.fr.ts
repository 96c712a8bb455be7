/**
 * What the API refuses with, in French. The API answers in English; its sentence is the key here, with `{}` where it names
 * something, and `{1}` the first thing that it names. A test holds this table to every sentence that a request may be
 * answered with, and `kinds` to every number and code.
 */

/** What kind of refusal it is, for sentences that are not in the table: what a library says of a malformed field. */
export const kinds: Record<string, string> = {
  '2001': 'Personne n’est identifié',
  '4000': 'La demande n’est pas valable',
  '4003': 'Votre rôle ne le permet pas',
  '4004': 'Cela n’existe pas, ou vous n’y avez pas accès',
  '4009': 'Cela a changé entre-temps, ou c’est déjà pris',
  '4013': 'Une limite est atteinte',
  '4021': 'Aucun domaine principal n’est choisi',
  '4040': 'Cette installation ne le propose pas',
  '5000': 'Une erreur interne s’est produite ; elle est dans le journal de la plateforme',
  '5003': 'Un composant de la plateforme ne répond pas ; réessayez plus tard',
  '101': 'Cette adresse est déjà la vôtre',
  '505': 'Ce n’est pas une clé SSH publique',
  '550': 'Ce n’est pas une adresse e-mail',
  '1004': 'Cette adresse est celle d’un autre compte',
  'invalid-credential': 'L’adresse e-mail ou le mot de passe est faux',
  'invalid-mfa-code': 'Le code est faux ou a déjà servi',
  'havre.InvalidError': 'La demande n’est pas valable',
  'havre.DeniedError': 'Votre rôle ne le permet pas',
  'havre.NotFoundError': 'Cela n’existe pas, ou vous n’y avez pas accès',
  'havre.ConflictError': 'Cela a changé entre-temps',
  'havre.ExhaustedError': 'Une limite est atteinte',
  'havre.UnavailableError': 'Un composant de la plateforme ne répond pas ; réessayez plus tard',
  'havre.BrokenError': 'Une erreur interne s’est produite',
};

export const sentences: Record<string, string> = {
  // requests
  'Content-Length is not a number': 'Content-Length n’est pas un nombre',
  'a NUL character is in the address': 'l’adresse contient un caractère NUL',
  "a browser's write carries the header {}": 'une écriture depuis un navigateur porte l’en-tête {1}',
  'a request may have {} bytes': 'une demande a {1} octets au plus',
  'the body has characters that no text may have (NUL, half a pair)':
    'le corps contient des caractères qu’aucun texte ne peut avoir (NUL, moitié d’une paire)',
  "the request's body did not come within {} seconds":
    'le corps de la demande n’est pas venu en {1} secondes',
  'the form is malformed': 'le formulaire est mal formé',
  'limit and offset are not negative': 'limit et offset ne sont pas négatifs',
  'interval is 31 days at most, and has {} spans at most':
    'interval couvre 31 jours au plus, et {1} périodes au plus',
  '{} is a duration such as P1D or PT5M': '{1} est une durée telle que P1D ou PT5M',
  '{} is not a moment such as 2026-01-31T12:00:00.000Z':
    '{1} n’est pas un moment tel que 2026-01-31T12:00:00.000Z',
  '{} is not the id of an event': '{1} n’est pas l’identifiant d’un événement',
  'too many {}; wait {} seconds': 'trop de {1} ; attendez {2} secondes',
  attempts: 'tentatives',
  letters: 'lettres',
  invitations: 'invitations',
  'pushes to this application': 'envois de code vers cette application',
  'not offered by this installation': 'cette installation ne le propose pas',
  'there is no product {}': 'il n’y a pas de produit {1}',
  'there is no zone {}': 'il n’y a pas de zone {1}',
  'there is no such page; this is a git repository': 'il n’y a pas de telle page ; ceci est un dépôt git',
  'the address of a repository ends in .git': 'l’adresse d’un dépôt finit par .git',
  'somebody else has just taken or changed this; look again':
    'quelqu’un d’autre vient de le prendre ou de le modifier ; regardez à nouveau',
  'an internal error happened; it was logged':
    'une erreur interne s’est produite ; elle est dans le journal de la plateforme',
  'Method Not Allowed': 'cette action n’existe pas ici',
  'Not Found': 'il n’y a rien à cette adresse',
  'the state database cannot be opened': 'la base d’état ne s’ouvre pas',
  'the state database does not take writes': 'la base d’état n’accepte pas d’écriture',
  'the state database is closed': 'la base d’état est fermée',
  'the logs are not open': 'les journaux ne sont pas ouverts',
  'the logs database does not answer': 'la base des journaux ne répond pas',
  'the logs database cannot be written to the disk':
    'la base des journaux ne peut pas être écrite sur le disque',

  // who asks
  'nobody is signed in: sign the request with OAuth 1 or a token':
    'personne n’est identifié : signez la demande par OAuth 1 ou un jeton',
  'the credentials are not valid or have expired': 'les identifiants ne sont pas valables ou ont expiré',
  'the e-mail address or the password is wrong': 'l’adresse e-mail ou le mot de passe est faux',
  'the code is wrong or was used before': 'le code est faux ou a déjà servi',
  'the present password is wrong': 'le mot de passe actuel est faux',
  'this sign-in took too long; begin again': 'cette connexion a pris trop de temps ; recommencez',
  'this account is gone': 'ce compte n’existe plus',
  'this request was not signed with an OAuth token': 'cette demande n’est pas signée par un jeton OAuth',
  'this sign-in link is not complete; run `clever login` again':
    'ce lien de connexion est incomplet ; relancez `clever login`',
  'oauth_timestamp is not a number of seconds': 'oauth_timestamp n’est pas un nombre de secondes',
  'the Authorization header is not an OAuth one': 'l’en-tête Authorization n’est pas de type OAuth',
  'the OAuth header is malformed': 'l’en-tête OAuth est mal formé',
  'the OAuth header lacks a field': 'il manque un champ à l’en-tête OAuth',
  "the signature is too old: check this machine's clock":
    'la signature est trop ancienne : vérifiez l’horloge de cette machine',
  'this signed request was sent before': 'cette demande signée a déjà été envoyée',
  'this request was not allowed, or is over': 'cette demande n’a pas été permise, ou est close',
  'this request is not valid any more; begin again in the program that sent you here':
    'cette demande n’est plus valable ; recommencez dans le programme qui vous a envoyé ici',

  // what they may
  'your role {} in {} does not allow this; ask an administrator of it':
    'votre rôle {1} dans {2} ne le permet pas ; demandez à l’un de ses administrateurs',
  'only an operator of this installation may do this':
    'seul un opérateur de cette installation peut le faire',
  'only the person may do this, no program in their name':
    'seule la personne peut le faire, aucun programme en son nom',
  'this program was not given the right {}': 'ce programme n’a pas reçu le droit {1}',

  // people and organisations
  'The organisation cannot be found': 'L’organisation est introuvable',
  "a personal space goes with its person's account": 'un espace personnel part avec le compte de sa personne',
  'a personal space has no other members; make an organisation':
    'un espace personnel n’a pas d’autre membre ; créez une organisation',
  'nobody leaves their own space': 'personne ne quitte son propre espace',
  'an organisation keeps an administrator: make somebody else one first':
    'une organisation garde un administrateur : nommez d’abord quelqu’un d’autre',
  'an operator does not remove themselves': 'un opérateur ne se retire pas lui-même',
  'there is no such member': 'il n’y a pas de tel membre',
  'there is no such person': 'il n’y a pas de telle personne',
  'there is no such session': 'il n’y a pas de telle session',
  'there is no such token': 'il n’y a pas de tel jeton',
  'there is no such API token': 'il n’y a pas de tel jeton d’API',
  'there is no such key': 'il n’y a pas de telle clé',
  'this invitation is not valid any more; ask for a new one':
    'cette invitation n’est plus valable ; demandez-en une nouvelle',
  'this confirmation is not valid any more; ask for a new one':
    'cette confirmation n’est plus valable ; demandez-en une nouvelle',
  'a quota is a number from 0 (no limit) to 1000000': 'un quota est un nombre de 0 (sans limite) à 1000000',
  'this organisation may have {} applications; ask an operator for more':
    'cette organisation a droit à {1} applications ; demandez-en plus à un opérateur',
  'this organisation may have {} instances; ask an operator for more':
    'cette organisation a droit à {1} instances ; demandez-en plus à un opérateur',
  '{} has an account already': '{1} a déjà un compte',
  '{} is not an e-mail address': '{1} n’est pas une adresse e-mail',
  'the name of {} must be one line of 1 to 80 characters':
    'le nom de {1} est une seule ligne de 1 à 80 caractères',
  'an application': 'l’application',
  'an organisation': 'l’organisation',
  'This address already belongs to your account': 'Cette adresse est déjà celle de votre compte',
  'This address belongs to another account': 'Cette adresse est celle d’un autre compte',
  'This address is none of your secondary addresses':
    'Cette adresse n’est pas l’une de vos adresses secondaires',
  'This address must be added as a secondary address before marking it as primary':
    'Cette adresse doit d’abord être ajoutée comme adresse secondaire',
  'a password has {} characters at least': 'un mot de passe a {1} caractères au moins',
  'two-step sign-in is on already': 'la connexion en deux étapes est déjà activée',
  'there is no second factor to confirm': 'il n’y a pas de second facteur à confirmer',
  'the name of a key is one line of 1 to 120 characters':
    'le nom d’une clé est une seule ligne de 1 à 120 caractères',
  'this SSH key is registered already': 'cette clé SSH est déjà enregistrée',
  'this is not a public SSH key (a line such as ssh-ed25519 AAAA…)':
    'ce n’est pas une clé SSH publique (une ligne telle que ssh-ed25519 AAAA…)',
  'an API token has a name of 1 to 120 characters': 'un jeton d’API a un nom de 1 à 120 caractères',
  'an API token expires within a year from now': 'un jeton d’API expire dans l’année',
  'expirationDate is a moment such as 2030-01-31T12:00:00.000Z':
    'expirationDate est un moment tel que 2030-01-31T12:00:00.000Z',
  'The OAuth consumer cannot be found': 'Le consommateur OAuth est introuvable',
  'the callback is not below the base URL of this consumer':
    'l’adresse de retour n’est pas sous l’adresse de base de ce consommateur',
  'there is no right {}': 'il n’y a pas de droit {1}',
  '{} has 400 characters at most': '{1} a 400 caractères au plus',
  '{} is a URL such as https://portal.example.com':
    '{1} est une adresse telle que https://portal.example.com',

  // applications
  'The application cannot be found': 'L’application est introuvable',
  'The deployment cannot be found': 'Le déploiement est introuvable',
  'there is no such instance': 'il n’y a pas de telle instance',
  'there is no such operation': 'il n’y a pas de telle opération',
  'it is too late to cancel: it has ended': 'il est trop tard pour annuler : c’est terminé',
  'it is too late to cancel: the switch has been made':
    'il est trop tard pour annuler : la bascule a eu lieu',
  'the deployment has ended already ({})': 'le déploiement est déjà terminé ({1})',
  'nothing was deployed yet; push a commit first (clever deploy)':
    'rien n’a encore été déployé ; poussez d’abord un commit (clever deploy)',
  '{} does not run': '{1} ne tourne pas',
  '{} is not the name of a branch, such as main or release/2.1':
    '{1} n’est pas le nom d’une branche, tel que main ou release/2.1',
  '{} is not the full id of a commit (40 hexadecimal digits)':
    '{1} n’est pas l’identifiant complet d’un commit (40 chiffres hexadécimaux)',
  'apps of type {} cannot run here: {}': 'les applications de type {1} ne peuvent pas tourner ici : {2}',
  'this machine has no {}; install it, or apt-get and dpkg-deb, with which Havre fetches {} by itself':
    'cette machine n’a pas {1} ; installez-le, ou apt-get et dpkg-deb, avec lesquels Havre prend {2} lui-même',
  'the lifetime of an app is one of {}': 'la durée de vie d’une application est l’une de {1}',
  'instanceLifetime is REGULAR or TASK': 'instanceLifetime est REGULAR ou TASK',
  'instances: 1 <= minimum <= maximum <= {}, not {} to {}':
    'instances : 1 <= minimum <= maximum <= {1}, et non de {2} à {3}',
  'flavors: the minimum {} is larger than the maximum {}':
    'tailles : le minimum {1} est plus grand que le maximum {2}',
  'there is no flavor {}; the flavors are {}': 'il n’y a pas de taille {1} ; les tailles sont {2}',
  '{} is not a name for a variable: letters, digits and underscores, not starting with a digit':
    '{1} n’est pas un nom de variable : lettres, chiffres et soulignés, sans chiffre au début',
  '{} is set by the platform': '{1} est donnée par la plateforme',
  '{} is a number of seconds without a request after which the app sleeps, such as 600':
    '{1} est le nombre de secondes sans demande après lequel l’application s’endort, par exemple 600',
  'the value of {} must be text of at most 128 KiB without NUL':
    'la valeur de {1} est un texte de 128 Kio au plus, sans NUL',
  'the value of {} must be text without NUL': 'la valeur de {1} est un texte sans NUL',
  'the variables of an app may have {} bytes in all':
    'les variables d’une application ont {1} octets au plus en tout',
  'what an application publishes may have {} bytes in all':
    'ce qu’une application publie a {1} octets au plus en tout',
  'an application does not depend on itself': 'une application ne dépend pas d’elle-même',
  'an application may have {} dependencies': 'une application a {1} dépendances au plus',
  'The application does not depend on that one': 'L’application ne dépend pas de celle-là',
  'an application has at most {} tags of letters, digits and _ . : / @ -':
    'une application a {1} étiquettes au plus, de lettres, chiffres et _ . : / @ -',
  'there are applications; delete them first': 'il y a des applications ; supprimez-les d’abord',
  'no app runs': 'aucune application ne tourne',
  'name the apps to upgrade, or say that all are meant':
    'nommez les applications à mettre à niveau, ou dites qu’elles y sont toutes',
  'no app {} runs here': 'aucune application {1} ne tourne ici',
  '{} apps are named {}; say which by its id: {}':
    '{1} applications s’appellent {2} ; dites laquelle par son identifiant : {3}',
  'there is no such upgrade': 'il n’y a pas de telle mise à niveau',

  // domains and ports
  'No favourite domain is set': 'Aucun domaine principal n’est choisi',
  'Domain {} is not a domain of this application': 'Le domaine {1} n’est pas un domaine de cette application',
  'Domain {} is already taken by another application':
    'Le domaine {1} est déjà pris par une autre application',
  'Domain {} is already taken by another application; {}':
    'Le domaine {1} est déjà pris par une autre application ; {2}',
  'to prove that it is yours, set a TXT record {} with the text {} and try again':
    'pour prouver qu’il est à vous, créez un enregistrement TXT {1} dont le texte est {2} et réessayez',
  'Domain {} is invalid: {}': 'Le domaine {1} n’est pas valable : {2}',
  'a domain is a host name, with a path or without, such as www.example.com/api':
    'un domaine est un nom d’hôte, avec ou sans chemin, tel que www.example.com/api',
  'it is not a host name such as www.example.com': 'ce n’est pas un nom d’hôte tel que www.example.com',
  'it needs a dot, such as www.example.com': 'il y faut un point, comme dans www.example.com',
  'its last label cannot be the end of a domain': 'sa dernière partie ne peut pas terminer un domaine',
  'it is longer than {} characters': 'il dépasse {1} caractères',
  'its path may have letters, digits and . _ ~ - between its slashes':
    'son chemin a des lettres, des chiffres et . _ ~ - entre ses barres obliques',
  'its path has more than {} parts': 'son chemin a plus de {1} parties',
  'this name belongs to the platform': 'ce nom appartient à la plateforme',
  'below {} a name has one label, such as shop.{}': 'sous {1}, un nom a une seule partie, comme shop.{2}',
  'Invalid domain: {} names a port; a domain has none':
    'Le domaine n’est pas valable : {1} nomme un port ; un domaine n’en a pas',
  'Invalid domain: {} is not a host name (letters, digits, hyphens, dots, such as www.example.com)':
    'Le domaine n’est pas valable : {1} n’est pas un nom d’hôte (lettres, chiffres, traits d’union, points, tel que www.example.com)',
  'The application has no TCP redirection from port {} in namespace {}':
    'L’application n’a pas de redirection TCP depuis le port {1} dans l’espace {2}',
  'an application may have {} TCP redirections': 'une application a {1} redirections TCP au plus',
  'there is no namespace {}; there are: {}': 'il n’y a pas d’espace {1} ; il y a : {2}',
  'no port is free between {} and {}; an operator can widen edge.tcp_ports':
    'aucun port n’est libre entre {1} et {2} ; un opérateur peut élargir edge.tcp_ports',
  'port {} cannot be listened on: {}': 'le port {1} ne peut pas être écouté : {2}',
  'the edge has made no root certificate ({})': 'le point d’entrée n’a pas fait de certificat racine ({1})',
  'the internal certificate authority cannot be read': 'l’autorité de certification interne est illisible',

  // certificates
  'certificates can be neither made nor checked now':
    'les certificats ne peuvent être ni faits ni vérifiés en ce moment',
  'the program that makes and checks certificates failed':
    'le programme qui fait et vérifie les certificats a échoué',
  'The certificate cannot be found': 'Le certificat est introuvable',
  'an organisation may have {} certificates; remove one first':
    'une organisation a {1} certificats au plus ; retirez-en un d’abord',
  'Invalid certificate: it is not meant for servers (extended key usage)':
    'Le certificat n’est pas valable : il n’est pas destiné aux serveurs (extended key usage)',
  'Invalid certificate: it names no host (subject alternative names)':
    'Le certificat n’est pas valable : il ne nomme aucun hôte (subject alternative names)',
  'Invalid certificate: more than {} KiB': 'Le certificat n’est pas valable : plus de {1} Kio',
  'Invalid certificate: more than {} certificates in one chain':
    'Le certificat n’est pas valable : plus de {1} certificats dans une chaîne',
  'Invalid certificate: no certificate in it (PEM, -----BEGIN CERTIFICATE-----)':
    'Le certificat n’est pas valable : il n’y a pas de certificat (PEM, -----BEGIN CERTIFICATE-----)',
  'Invalid certificate: the key does not belong to {}':
    'Le certificat n’est pas valable : la clé n’est pas celle de {1}',
  'Invalid certificate: the key must be RSA of {} bits or more, or on P-256 to P-521':
    'Le certificat n’est pas valable : la clé est RSA de {1} bits ou plus, ou sur P-256 à P-521',
  'Invalid certificate: the private key cannot be read':
    'Le certificat n’est pas valable : la clé privée est illisible',
  'Invalid certificate: the private key is encrypted; upload it without a password':
    'Le certificat n’est pas valable : la clé privée est chiffrée ; envoyez-la sans mot de passe',
  'Invalid certificate: the signature of {} is one that browsers refuse':
    'Le certificat n’est pas valable : les navigateurs refusent la signature de {1}',
  'Invalid certificate: there is no private key (PEM, -----BEGIN PRIVATE KEY-----)':
    'Le certificat n’est pas valable : il n’y a pas de clé privée (PEM, -----BEGIN PRIVATE KEY-----)',
  'Invalid certificate: {} does not sign {}; the chain has a certificate that does not belong to it, or one is missing between the two':
    'Le certificat n’est pas valable : {1} ne signe pas {2} ; la chaîne a un certificat de trop, ou il en manque un entre les deux',
  'Invalid certificate: {} ended on {}': 'Le certificat n’est pas valable : {1} a pris fin le {2}',
  'Invalid certificate: {} is not valid before {}':
    'Le certificat n’est pas valable : {1} ne vaut pas avant le {2}',

  // notifications and drains
  'The notification cannot be found': 'La notification est introuvable',
  'a notification goes to 1 to 20 places': 'une notification va à 1 à 20 adresses',
  'a notification has a name of at most 120 characters and names at most 200 services':
    'une notification a un nom de 120 caractères au plus et nomme 200 services au plus',
  'an organisation may have {} notifications': 'une organisation a {1} notifications au plus',
  'there is no event {}; the events are {}': 'il n’y a pas d’événement {1} ; les événements sont {2}',
  'there is no format {}; the formats are {}': 'il n’y a pas de format {1} ; les formats sont {2}',
  'who is notified is an email, a userid or the organisation':
    'qui est prévenu est une adresse e-mail, une personne ou l’organisation',
  '{} is not a URL such as https://hooks.example.com/x':
    '{1} n’est pas une adresse telle que https://hooks.example.com/x',
  'The drain cannot be found': 'Le drain est introuvable',
  "a drain's kind is LOG": 'le genre d’un drain est LOG',
  "a drain's type is one of {}": 'le type d’un drain est l’un de {1}',
  'a {} drain needs {}': 'un drain {1} a besoin de {2}',
  'an application may have {} drains': 'une application a {1} drains au plus',
  'the URL of a {} drain is of the form {}': 'l’adresse d’un drain {1} est de la forme {2}',
};
