/**
 * Why a deployment failed, in French; as in `refusals.fr.ts`, with `{=1}` for what a program said, which stays as it is. A
 * test holds this table to the code.
 */

export const sentences: Record<string, string> = {
  '{} leads outside of the repository': '{1} mène hors du dépôt',
  'APP_FOLDER={} is not a folder of the repository': 'APP_FOLDER={1} n’est pas un dossier du dépôt',
  'the disk of the platform is full: {} MiB are left; tell its operator':
    'le disque de la plateforme est plein : il reste {1} Mio ; dites-le à son opérateur',
  'the disk of the platform is full: {} files are left; tell its operator':
    'le disque de la plateforme est plein : il reste {1} fichiers ; dites-le à son opérateur',
  'the app did not become healthy within {} s: {}; {}':
    'l’application n’est pas devenue saine en {1} s : {2} ; {3}',
  'the health check path {} must start with / and hold no space':
    'le chemin du contrôle de santé {1} commence par / et n’a pas d’espace',
  'the app ended while it started: {}': 'l’application s’est terminée pendant son démarrage : {1}',
  'the build left an image without a description': 'le build a laissé une image sans description',
  'the image does not say what it starts: its Dockerfile needs CMD or ENTRYPOINT':
    'l’image ne dit pas ce qu’elle démarre : il faut CMD ou ENTRYPOINT dans son Dockerfile',
  "the image's WORKDIR is not a path": 'le WORKDIR de l’image n’est pas un chemin',
  'no range of users is left for another docker app (build.images.first_user)':
    'il ne reste plus de plage d’utilisateurs pour une autre application docker (build.images.first_user)',
  "there is no setpriv to become the image's user with; deploy the app again":
    'il n’y a pas de setpriv pour devenir l’utilisateur de l’image ; déployez l’application à nouveau',
  'docker apps need a platform that runs as root here: an image has users of its own':
    'les applications docker demandent ici une plateforme qui tourne en root : une image a ses propres utilisateurs',
  'docker apps need base images: the operator names a folder of OCI layouts or a registry in [build.images]':
    'les applications docker demandent des images de base : l’opérateur nomme un dossier de structures OCI ou un registre dans [build.images]',
  "the image's {} is not a list of texts": '{1} de l’image n’est pas une liste de textes',
  "the image's USER is not a text": 'le USER de l’image n’est pas un texte',
  "the image's USER {} is past {}, the last that an image may have":
    'le USER {1} de l’image dépasse {2}, le dernier qu’une image puisse avoir',
  "the image's USER {} is not in its /etc/{}": 'le USER {1} de l’image n’est pas dans son /etc/{2}',
  'the build left no image': 'le build n’a laissé aucune image',
  'build.images.layouts: there is no folder {}': 'build.images.layouts : il n’y a pas de dossier {1}',
  'CC_SSH_PRIVATE_KEY_FILE={} is not the name of a file in ~/.ssh':
    'CC_SSH_PRIVATE_KEY_FILE={1} n’est pas le nom d’un fichier de ~/.ssh',
  '{} is not a private key (-----BEGIN OPENSSH PRIVATE KEY----- …)':
    '{1} n’est pas une clé privée (-----BEGIN OPENSSH PRIVATE KEY----- …)',
  '{} names {}, which is not a file of the repository': '{1} nomme {2}, qui n’est pas un fichier du dépôt',
  '{} must be {"privateKeyFile": "path of the key in the repository"}':
    '{1} doit être {"privateKeyFile": "chemin de la clé dans le dépôt"}',
  'an app may have {} workers (CC_WORKER_COMMAND_…), not {}':
    'une application a {1} workers au plus (CC_WORKER_COMMAND_…), et non {2}',
  'CC_WORKER_RESTART_DELAY={} is not a number of seconds up to {}':
    'CC_WORKER_RESTART_DELAY={1} n’est pas un nombre de secondes de {2} au plus',
  'CC_WORKER_RESTART={} is not one of {}': 'CC_WORKER_RESTART={1} n’est pas l’un de {2}',
  '{} must be an array of crontab lines, such as ["0 4 * * * $ROOT/nightly.sh"]':
    '{1} doit être un tableau de lignes de crontab, tel que ["0 4 * * * $ROOT/nightly.sh"]',
  '{} may have {} lines at most, not {}': '{1} a {2} lignes au plus, et non {3}',
  '{}: {} is not five fields of time and a command':
    '{1} : {2} n’est pas cinq champs de temps et une commande',
  '{}: {} has no command of one line': '{1} : {2} n’a pas de commande d’une ligne',
  '{} is not valid JSON: {}': '{1} n’est pas du JSON valable : {=2}',
  '{}: {} is not one of @reboot, {}': '{1} : {2} n’est pas l’un de @reboot, {3}',
  'Havre does not know this push': 'Havre ne connaît pas cet envoi de code',
  'apps of type {} are not offered here; offered: {}':
    'les applications de type {1} ne sont pas proposées ici ; sont proposés : {2}',
  '{}: {} leads outside of the app': '{1} : {2} mène hors de l’application',
  '{} names {} packages, at most {} are taken': '{1} nomme {2} paquets, {3} au plus sont pris',
  '{}: {} is not the name of a Debian package': '{1} : {2} n’est pas le nom d’un paquet Debian',
  'CC_MOUNT_DOCKER_SOCKET: there is no Docker here whose socket could be given to an app':
    'CC_MOUNT_DOCKER_SOCKET : il n’y a ici aucun Docker dont la socket pourrait être donnée à une application',
  'CC_REQUEST_FLOW: a docker app brings what stands in front of it in its own image':
    'CC_REQUEST_FLOW : une application docker apporte dans son image ce qui se tient devant elle',
  'CC_DOCKERFILE={} must be a file of the app': 'CC_DOCKERFILE={1} doit être un fichier de l’application',
  'CC_DOCKERFILE={} is not in the repository': 'CC_DOCKERFILE={1} n’est pas dans le dépôt',
  'no Dockerfile at the top of the repository (another name? then set CC_DOCKERFILE)':
    'pas de Dockerfile en haut du dépôt (un autre nom ? alors réglez CC_DOCKERFILE)',
  '{}={} is not a port': '{1}={2} n’est pas un port',
  'no mix.exs at the top of the repository: an Elixir app is a Mix project (is the app in a sub-folder? then set APP_FOLDER)':
    'pas de mix.exs en haut du dépôt : une application Elixir est un projet Mix (l’application est dans un sous-dossier ? alors réglez APP_FOLDER)',
  'CC_PHOENIX_ASSETS_DIR={} must be a folder of the app':
    'CC_PHOENIX_ASSETS_DIR={1} doit être un dossier de l’application',
  '{}={} is not a task of Mix with its arguments': '{1}={2} n’est pas une tâche de Mix avec ses arguments',
  "mix.exs does not say its app's name (app: :name): set CC_RUN_COMMAND":
    'mix.exs ne dit pas le nom de son application (app: :name) : réglez CC_RUN_COMMAND',
  "STATIC_FILES_PATH is a folder of the app, STATIC_URL_PREFIX the path of its files' URLs":
    'STATIC_FILES_PATH est un dossier de l’application, STATIC_URL_PREFIX le chemin des adresses de ses fichiers',
  '{}={} is not a plain path inside the app': '{1}={2} n’est pas un simple chemin dans l’application',
  'CC_GO_BUILD_TOOL={} is not offered here; offered: {}':
    'CC_GO_BUILD_TOOL={1} n’est pas proposé ici ; sont proposés : {2}',
  'no go.mod at the top of the repository: run go mod init and commit it (is the app in a sub-folder? then set APP_FOLDER)':
    'pas de go.mod en haut du dépôt : lancez go mod init et commitez-le (l’application est dans un sous-dossier ? alors réglez APP_FOLDER)',
  'CC_GO_BUILD_TOOL=makefile needs a Makefile at the top of the repository':
    'CC_GO_BUILD_TOOL=makefile demande un Makefile en haut du dépôt',
  'CC_GO_BUILD_TOOL=makefile needs CC_GO_BINARY, the program that make leaves':
    'CC_GO_BUILD_TOOL=makefile demande CC_GO_BINARY, le programme que make laisse',
  'CC_GO_VERSION={} is not a version of Go, such as 1.24 or 1.24.3':
    'CC_GO_VERSION={1} n’est pas une version de Go, telle que 1.24 ou 1.24.3',
  'one .cabal file is expected at the top of the repository, not {}':
    'un seul fichier .cabal est attendu en haut du dépôt, et non {1}',
  'no .cabal file and no Main.hs at the top of the repository (from package.yaml, `hpack` makes the .cabal file: commit it)':
    'pas de fichier .cabal ni de Main.hs en haut du dépôt (de package.yaml, `hpack` fait le fichier .cabal : commitez-le)',
  '{} must have one executable, it has {}': '{1} doit avoir un seul exécutable, il a {2}',
  '{} must have one executable, it has {}: name yours in CC_HASKELL_STACK_TARGET':
    '{1} doit avoir un seul exécutable, il a {2} : nommez le vôtre dans CC_HASKELL_STACK_TARGET',
  'set CC_JAR_PATH to the jar of the repository that is started, such as lib/app.jar, or clevercloud/jar.json to what builds it: {"build": {"type": "maven", "goal": "package"}}':
    'réglez CC_JAR_PATH sur le jar du dépôt à démarrer, tel que lib/app.jar, ou clevercloud/jar.json sur ce qui le construit : {"build": {"type": "maven", "goal": "package"}}',
  'CC_JAVA_VERSION={} is not offered here; offered: {} (apps are compiled with {} and run on any of them)':
    'CC_JAVA_VERSION={1} n’est pas proposé ici ; sont proposés : {2} (les applications sont compilées avec {3} et tournent sur chacun d’eux)',
  'builds by {} are not offered here; offered: {}':
    'les builds par {1} ne sont pas proposés ici ; sont proposés : {2}',
  'no {} at the top of the repository (is the app in a sub-folder? then set APP_FOLDER)':
    'pas de {1} en haut du dépôt (l’application est dans un sous-dossier ? alors réglez APP_FOLDER)',
  '{} would start the app in its build: set {} to what makes the package, and CC_RUN_COMMAND or CC_JAR_PATH to what starts it':
    '{1} démarrerait l’application dans son build : réglez {2} sur ce qui fait le paquet, et CC_RUN_COMMAND ou CC_JAR_PATH sur ce qui la démarre',
  'the goal {} cannot be read: {}': 'le but {1} est illisible : {=2}',
  'pom.xml asks for Java {} ({}); this installation compiles with Java {}: set it to {} (CC_JAVA_VERSION says what the app runs on, which may be newer)':
    'pom.xml demande Java {1} ({2}) ; cette installation compile avec Java {3} : mettez {4} (CC_JAVA_VERSION dit sur quoi l’application tourne, qui peut être plus récent)',
  'CC_JAR_PATH={} leads outside of the app': 'CC_JAR_PATH={1} mène hors de l’application',
  'nothing says how this app starts: set CC_RUN_COMMAND (it must listen on 0.0.0.0:8080), or give mise.toml a task named run, or a Makefile a target named run{}':
    'rien ne dit comment cette application démarre : réglez CC_RUN_COMMAND (elle doit écouter sur 0.0.0.0:8080), ou donnez à mise.toml une tâche nommée run, ou à un Makefile une cible nommée run{1}',
  '{} is not valid TOML: {}': '{1} n’est pas du TOML valable : {=2}',
  'CC_MAKEFILE={} must be a file of the app': 'CC_MAKEFILE={1} doit être un fichier de l’application',
  'CC_MAKEFILE={} is not in the repository': 'CC_MAKEFILE={1} n’est pas dans le dépôt',
  '{} asks for Node {}, which cannot be had here: there is Node {}':
    '{1} demande Node {2}, qu’on ne peut avoir ici : il y a Node {3}',
  '{} asks for Node {}, which is not a version or a range of versions':
    '{1} demande Node {2}, qui n’est ni une version ni un intervalle de versions',
  'package.json has neither scripts.start nor main: say how the app starts (or set CC_RUN_COMMAND); it must listen on 0.0.0.0:8080':
    'package.json n’a ni scripts.start ni main : dites comment l’application démarre (ou réglez CC_RUN_COMMAND) ; elle doit écouter sur 0.0.0.0:8080',
  'no package.json at the top of the repository: a node app needs one with scripts.start or main (is the app in a sub-folder? then set APP_FOLDER)':
    'pas de package.json en haut du dépôt : une application node en a un avec scripts.start ou main (l’application est dans un sous-dossier ? alors réglez APP_FOLDER)',
  'CC_NODE_BUILD_TOOL={} is not one of {}': 'CC_NODE_BUILD_TOOL={1} n’est pas l’un de {2}',
  'npm ci needs package-lock.json: run npm install and commit it':
    'npm ci demande package-lock.json : lancez npm install et commitez-le',
  'CC_NODE_BUILD_TOOL=custom needs CC_CUSTOM_BUILD_TOOL, the command to run':
    'CC_NODE_BUILD_TOOL=custom demande CC_CUSTOM_BUILD_TOOL, la commande à lancer',
  'CC_CGI_IMPLEMENTATION={} is not one of {}': 'CC_CGI_IMPLEMENTATION={1} n’est pas l’un de {2}',
  'CC_PHP_COMPOSER_FLAGS={} has a quote that does not end':
    'CC_PHP_COMPOSER_FLAGS={1} a un guillemet qui ne se ferme pas',
  'extra.havre.packages of composer.json is a list of Debian packages, such as ["php-twig"]':
    'extra.havre.packages de composer.json est une liste de paquets Debian, telle que ["php-twig"]',
  'no {}, uv.lock, poetry.lock or pyproject.toml at the top of the repository: say what to install (an empty requirements.txt will do; is the app in a sub-folder? then set APP_FOLDER)':
    'pas de {1}, uv.lock, poetry.lock ni pyproject.toml en haut du dépôt : dites quoi installer (un requirements.txt vide suffit ; l’application est dans un sous-dossier ? alors réglez APP_FOLDER)',
  'CC_PIP_REQUIREMENTS_FILE={} is not in the repository':
    'CC_PIP_REQUIREMENTS_FILE={1} n’est pas dans le dépôt',
  "set CC_PYTHON_MODULE to the app's entry, such as app:app (clever env set CC_PYTHON_MODULE app:app), or CC_RUN_COMMAND to the command that listens on 0.0.0.0:8080":
    'réglez CC_PYTHON_MODULE sur l’entrée de l’application, telle que app:app (clever env set CC_PYTHON_MODULE app:app), ou CC_RUN_COMMAND sur la commande qui écoute sur 0.0.0.0:8080',
  'CC_PYTHON_BACKEND={} is not one of {}': 'CC_PYTHON_BACKEND={1} n’est pas l’un de {2}',
  'CC_PYTHON_CELERY_MODULE={} is not a module, such as shop.celery':
    'CC_PYTHON_CELERY_MODULE={1} n’est pas un module, tel que shop.celery',
  'CC_PYTHON_CELERY_LOGFILE is a folder of the app':
    'CC_PYTHON_CELERY_LOGFILE est un dossier de l’application',
  'CC_GUNICORN_WORKER_CLASS={} is not a class of workers, such as gthread':
    'CC_GUNICORN_WORKER_CLASS={1} n’est pas une classe de workers, telle que gthread',
  'CC_REQUEST_FLOW names {} parts, at most {} fit':
    'CC_REQUEST_FLOW nomme {1} parties, {2} au plus y tiennent',
  'CC_REQUEST_FLOW: {} is not offered by this installation: {}':
    'CC_REQUEST_FLOW : {1} n’est pas proposé par cette installation : {2}',
  'CC_REQUEST_FLOW: {} is not one of {}; block and disable stand alone':
    'CC_REQUEST_FLOW : {1} n’est pas l’un de {2} ; block et disable vont seuls',
  '{} asks for {}, which is not offered by this installation: {}; remove it, or set CC_REQUEST_FLOW=disable to start without':
    '{1} demande {2}, que cette installation ne propose pas : {3} ; retirez-le, ou mettez CC_REQUEST_FLOW=disable pour démarrer sans',
  'CC_VARNISH_FILE={} must be a file of the app, such as /config/varnish.vcl':
    'CC_VARNISH_FILE={1} doit être un fichier de l’application, tel que /config/varnish.vcl',
  'CC_VARNISH_STORAGE_SIZE={} is not a size such as 256M or 1G':
    'CC_VARNISH_STORAGE_SIZE={1} n’est pas une taille telle que 256M ou 1G',
  'CC_REQUEST_FLOW: oauth2-proxy needs {} (clever env set …)':
    'CC_REQUEST_FLOW : oauth2-proxy demande {1} (clever env set …)',
  'CC_REQUEST_FLOW: custom needs CC_REQUEST_FLOW_CUSTOM, the command that starts it, with @@LISTEN_PORT@@ and @@FORWARD_PORT@@ where its ports belong':
    'CC_REQUEST_FLOW : custom demande CC_REQUEST_FLOW_CUSTOM, la commande qui le démarre, avec @@LISTEN_PORT@@ et @@FORWARD_PORT@@ à la place de ses ports',
  'CC_RACKUP_SERVER={} is not one of {}': 'CC_RACKUP_SERVER={1} n’est pas l’un de {2}',
  'no config.ru at the top of the repository: it says what is served (or set CC_RUN_COMMAND)':
    'pas de config.ru en haut du dépôt : il dit ce qui est servi (ou réglez CC_RUN_COMMAND)',
  'the Gemfile has no `gem "{}"`, which is to serve the app (see CC_RACKUP_SERVER)':
    'le Gemfile n’a pas de `gem "{1}"`, qui doit servir l’application (voir CC_RACKUP_SERVER)',
  'STATIC_FILES_PATH and ENABLE_GZIP_COMPRESSION are for apps served by puma':
    'STATIC_FILES_PATH et ENABLE_GZIP_COMPRESSION sont pour les applications servies par puma',
  'CC_PUMA_THREADS={} is not a number or least:most, such as 1:5':
    'CC_PUMA_THREADS={1} n’est pas un nombre ou moins:plus, tel que 1:5',
  'CC_PUMA_WORKERS={} is not a number': 'CC_PUMA_WORKERS={1} n’est pas un nombre',
  'CC_SIDEKIQ_FILES are files of the app, such as ./config/sidekiq.yml':
    'CC_SIDEKIQ_FILES sont des fichiers de l’application, tels que ./config/sidekiq.yml',
  'no Gemfile (or gems.rb) at the top of the repository: a Ruby app names its gems and its server there, at least `gem "puma"` (is the app in a sub-folder? then set APP_FOLDER)':
    'pas de Gemfile (ni gems.rb) en haut du dépôt : une application Ruby y nomme ses gems et son serveur, au moins `gem "puma"` (l’application est dans un sous-dossier ? alors réglez APP_FOLDER)',
  'no Cargo.toml at the top of the repository (is the app in a sub-folder? then set APP_FOLDER)':
    'pas de Cargo.toml en haut du dépôt (l’application est dans un sous-dossier ? alors réglez APP_FOLDER)',
  'CC_RUST_BIN={} is not the name of a program of Cargo.toml':
    'CC_RUST_BIN={1} n’est pas le nom d’un programme de Cargo.toml',
  'CC_RUSTUP_CHANNEL={} is not offered here: apps are compiled by the stable Rust of the stack (clever env rm CC_RUSTUP_CHANNEL)':
    'CC_RUSTUP_CHANNEL={1} n’est pas proposé ici : les applications sont compilées par le Rust stable du socle (clever env rm CC_RUSTUP_CHANNEL)',
  '{} asks for {}; this installation compiles with a stable Rust only':
    '{1} demande {2} ; cette installation compile avec un Rust stable seulement',
  'CC_RUST_FEATURES: {} is not the name of a feature':
    'CC_RUST_FEATURES : {1} n’est pas le nom d’une feature',
  '{} is a folder of the repository, such as /public': '{1} est un dossier du dépôt, tel que /public',
  'CC_STATIC_SERVER={} is not one of {}': 'CC_STATIC_SERVER={1} n’est pas l’un de {2}',
  'no index.html at the top of the repository, and no generator of static sites that is known by its files: set CC_WEBROOT to the folder that is served, such as /public, or CC_BUILD_COMMAND to what makes it':
    'pas de index.html en haut du dépôt, et aucun générateur de sites statiques connu par ses fichiers : réglez CC_WEBROOT sur le dossier à servir, tel que /public, ou CC_BUILD_COMMAND sur ce qui le fait',
  'CC_WEBROOT=/{} is not a folder of the repository': 'CC_WEBROOT=/{1} n’est pas un dossier du dépôt',
  'this looks like a Zola site (config.toml), and Zola is in no package index: commit what `zola build` makes and set CC_WEBROOT to it, or set CC_BUILD_COMMAND':
    'cela ressemble à un site Zola (config.toml), et Zola n’est dans aucun index de paquets : commitez ce que fait `zola build` et réglez CC_WEBROOT dessus, ou réglez CC_BUILD_COMMAND',
  'CC_HUGO_VERSION={} is not a version of Hugo, such as {}':
    'CC_HUGO_VERSION={1} n’est pas une version de Hugo, telle que {2}',
  '{}: package.json has no script {}, which builds the site':
    '{1} : package.json n’a pas de script {2}, qui construit le site',
  '{} must be a plain file of at most {} KiB, not a link':
    '{1} doit être un simple fichier de {2} Kio au plus, pas un lien',
  '{} must hold a JSON object': '{1} doit contenir un objet JSON',
  'clevercloud/war.json: the container {} is not offered here; offered: {}':
    'clevercloud/war.json : le conteneur {1} n’est pas proposé ici ; sont proposés : {2}',
  'clevercloud/war.json: each of deploy.war has a file inside the repository':
    'clevercloud/war.json : chacun de deploy.war a un fichier dans le dépôt',
  'clevercloud/war.json: {} is not a context, such as / or /shop':
    'clevercloud/war.json : {1} n’est pas un contexte, tel que / ou /shop',
  'clevercloud/war.json: two archives have the context {}':
    'clevercloud/war.json : deux archives ont le contexte {1}',
  'no .war at the top of the repository and no pom.xml, build.gradle or build.sbt that makes one (is the app in a sub-folder? then set APP_FOLDER)':
    'pas de .war en haut du dépôt, et pas de pom.xml, build.gradle ou build.sbt qui en fasse un (l’application est dans un sous-dossier ? alors réglez APP_FOLDER)',
  'CC_WEBROOT is a folder of the repository, such as /public':
    'CC_WEBROOT est un dossier du dépôt, tel que /public',
  'CC_WEBROOT={} is not a folder of the repository': 'CC_WEBROOT={1} n’est pas un dossier du dépôt',
  'the app has been stopped meanwhile': 'l’application a été arrêtée entre-temps',
  'the submodules could not be fetched: {}': 'les sous-modules n’ont pas pu être pris : {=1}',
  'submodule {}: {} is not fetched: only https:// and ssh addresses are (change .gitmodules, or set CC_DISABLE_GIT_SUBMODULES=true)':
    'sous-module {1} : {2} n’est pas pris : seules le sont des adresses https:// et ssh (changez .gitmodules, ou mettez CC_DISABLE_GIT_SUBMODULES=true)',
  'there is no stack {}': 'il n’y a pas de socle {1}',
  '{} is not on this machine any more; deploy the app again':
    '{1} n’est plus sur cette machine ; déployez l’application à nouveau',
  '{} may have {} KiB': '{1} a {2} Kio au plus',
  'a task needs CC_RUN_COMMAND, the command that it runs (clever env set CC_RUN_COMMAND …)':
    'une tâche demande CC_RUN_COMMAND, la commande qu’elle lance (clever env set CC_RUN_COMMAND …)',
  'the app has been deleted meanwhile': 'l’application a été supprimée entre-temps',
  'the build that was to be used has been collected; deploy again':
    'le build à reprendre a été débarrassé ; déployez à nouveau',
  'build failed: {}{}': 'le build a échoué : {=1}{=2}',
  'out of memory: the app needs more than flavor {} has{}':
    'mémoire épuisée : l’application demande plus que la taille {1} n’en a{2}',

  // how what was started ended, and what was seen of it
  'build failed: out of memory': 'le build a échoué : mémoire épuisée',
  'build failed: out of memory ({} MiB; clever scale --build-flavor {} gives more)':
    'le build a échoué : mémoire épuisée ({1} Mio ; clever scale --build-flavor {2} en donne plus)',
  'build failed: took too long': 'le build a échoué : il a pris trop de temps',
  'build failed: killed by signal {}': 'le build a échoué : tué par le signal {1}',
  'build failed: ended without a status': 'le build a échoué : terminé sans code de retour',
  'build failed: exit code {}': 'le build a échoué : code de retour {1}',
  '; take flavor {} (clever scale --flavor {})': ' ; prenez la taille {1} (clever scale --flavor {2})',
  'out of memory': 'mémoire épuisée',
  'took too long': 'cela a pris trop de temps',
  'killed by signal {}': 'tué par le signal {1}',
  'ended without a status': 'terminé sans code de retour',
  'exit code {}': 'code de retour {1}',
  'it was never started': 'elle n’a jamais été démarrée',
  'nothing listens on port {}': 'rien n’écoute sur le port {1}',
  'nothing answers on port {}, {}': 'rien ne répond sur le port {1}, {2}',
  "the app's own (PORT)": 'celui de l’application (PORT)',
  'a part of the request flow': 'une partie du chemin des demandes',
  'GET {} answers {}': 'GET {1} répond {2}',
  '2xx is expected': '2xx est attendu',
  'the app must listen on 0.0.0.0:{}': 'l’application doit écouter sur 0.0.0.0:{1}',
  'GET {} got no answer within {} s': 'GET {1} n’a pas eu de réponse en {2} s',
  'GET {} answered {}': 'GET {1} a répondu {2}',
  'its agent is in no package index': 'son agent n’est dans aucun index de paquets',
  'its middleware is in no package index': 'son intergiciel n’est dans aucun index de paquets',
  'build failed: the disk has less than {} MiB left':
    'le build a échoué : il reste moins de {1} Mio sur le disque',
  'build failed: the disk has less than {} files left':
    'le build a échoué : il reste moins de {1} fichiers sur le disque',
  'build failed: {}: folders are nested too deep':
    'le build a échoué : {1} : trop de dossiers l’un dans l’autre',
  'build failed: {} has more than {} MiB': 'le build a échoué : {1} a plus de {2} Mio',
  'build failed: {} has more than {} files': 'le build a échoué : {1} a plus de {2} fichiers',
};
