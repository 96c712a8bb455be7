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
  'Monitoring/Strained: {}': 'Surveillance, limite atteinte : {1}',
  'it prints more than 4 MiB a second: its output is slowed down, and so is what waits to print':
    'elle écrit plus de 4 Mio par seconde : sa sortie est ralentie, et ce qui attend d’écrire aussi',
  'it has as many processes and threads as an instance may have: more are refused':
    'elle a autant de processus et de fils d’exécution qu’une instance peut en avoir : d’autres sont refusés',
  'what it has written since its start fills the {} MiB for that: more is refused{}':
    'ce qu’elle a écrit depuis son démarrage remplit les {1} Mio prévus : le reste est refusé{2}',
  'it has made as many files as an instance of flavor {} may have: more are refused{}':
    'elle a créé autant de fichiers qu’une instance de taille {1} peut en avoir : d’autres sont refusés{2}',
  'its processes use more memory than flavor {} has, and this machine cannot stop them{}':
    'ses processus utilisent plus de mémoire que la taille {1} n’en a, et cette machine ne peut pas les arrêter{2}',
  'it has as many connections open to the outside as an instance may have: the next waits for an end':
    'elle a autant de connexions ouvertes vers l’extérieur qu’une instance peut en avoir : la suivante attend qu’une se termine',
  'it has as many connections open as an instance may have: who comes next waits until one ends':
    'elle a autant de connexions ouvertes qu’une instance peut en avoir : le prochain visiteur attend qu’une se termine',
  '; flavor {} has room for more (clever scale --flavor {})':
    ' ; la taille {1} a plus de place (clever scale --flavor {2})',
  'it ended by itself ({})': 'elle s’est terminée d’elle-même ({1})',
};
