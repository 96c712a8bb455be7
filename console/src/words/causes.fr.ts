/** Why an application was deployed, scaled, replaced or left as it was, in French; as in `refusals.fr.ts`. */

export const sentences: Record<string, string> = {
  Git: 'Git',
  Console: 'Console',
  CLI: 'Ligne de commande',
  API: 'API',
  Scaling: 'Mise à l’échelle',
  Dependency: 'Dépendance',
  'Stack upgrade': 'Passage à des paquets plus récents',
  'Restored from a backup': 'Restauré d’une sauvegarde',
  'Monitoring/Scaling: {}': 'Surveillance, échelle : {1}',
  'Monitoring/Timeout: {}': 'Surveillance, sans réponse : {1}',
  'Monitoring/Maintenance: {}': 'Surveillance, entretien : {1}',
  'Monitoring/Unreachable: {}': 'Surveillance, injoignable : {1}',
  '{} because {}': '{1}, car {2}',
  'asleep because {}': 'endormie, car {1}',
  'its owner allows no other scale': 'son propriétaire ne permet pas d’autre échelle',
  'its processors were {} busy for {}': 'ses processeurs ont été occupés à {1} pendant {2}',
  'its memory was {} full for {}': 'sa mémoire a été pleine à {1} pendant {2}',
  '{} requests or more waited for an instance for {}':
    '{1} demandes ou plus ont attendu une instance pendant {2}',
  'each instance was answering {} requests at a time for {}':
    'chaque instance a répondu à {1} demandes à la fois pendant {2}',
  'less was enough for {}: {} requests at a time{}': 'moins a suffi pendant {1} : {2} demandes à la fois{3}',
  ', its processors {} busy': ', ses processeurs occupés à {1}',
  'no request came for {}': 'aucune demande n’est venue pendant {1}',
  'a request came': 'une demande est venue',
  '{} asked for it': '{1} l’a demandé',
  'superseded by the push of {}': 'remplacé par l’envoi de {1}',
  '{} deleted the app': '{1} a supprimé l’application',
  '{} stopped the app': '{1} a arrêté l’application',
  'by {}': 'par {1}',
  'the platform was restored from a backup that was taken meanwhile':
    'la plateforme a été restaurée d’une sauvegarde faite entre-temps',
  'it was gone with its monitor or with the machine':
    'elle a disparu avec son surveillant ou avec la machine',
  'it ended by itself ({})': 'elle s’est terminée d’elle-même ({1})',
};
