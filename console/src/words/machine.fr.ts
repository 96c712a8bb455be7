/** What this machine can do, as `havre doctor` finds it, in French; as in `refusals.fr.ts`. */

export const sentences: Record<string, string> = {
  'not found': 'introuvable',
  'install git': 'installez git',
  'no app can be started': 'aucune application ne peut démarrer',
  'no answer': 'pas de réponse',
  'the sandbox does not start: is the machine well?':
    'le bac à sable ne démarre pas : la machine va-t-elle bien ?',
  'apps cannot be isolated: allow user namespaces (sysctl user.max_user_namespaces)':
    'les applications ne peuvent être isolées : autorisez les espaces de noms d’utilisateurs (sysctl user.max_user_namespaces)',
  'user, pid, mount, network': 'utilisateurs, processus, montages, réseau',
  'a user for each app': 'un utilisateur par application',
  'one user for all apps': 'un utilisateur pour toutes les applications',
  "namespaces alone separate apps, and one user's inotify and pipes are for all of them; start as root":
    'seuls des espaces de noms séparent les applications, et elles partagent inotify et les tubes d’un utilisateur ; démarrez en root',
  'no limit for {}: run as root, or under systemd with Delegate=yes':
    'pas de limite pour {1} : démarrez en root, ou sous systemd avec Delegate=yes',
  none: 'aucune',
  filtered: 'filtrés',
  'no filter for this architecture': 'aucun filtre pour cette architecture',
  '{} (our own, whatever the host has)': '{1} (le nôtre, quoi qu’ait l’hôte)',
  'node apps cannot be built': 'les applications Node ne peuvent être construites',
  '{}, ours': '{1}, le nôtre',
  '{} needs root': '{1} demande d’être root',
  'choose a port from 1024 on': 'choisissez un port à partir de 1024',
  'free it or take another: havre up {}': 'libérez-le ou prenez-en un autre : havre up {1}',
  '{} is free': '{1} est libre',
  'no clever ssh: set [ssh] port': 'pas de clever ssh : réglez [ssh] port',
  '{} MiB free at {}': '{1} Mio libres sur {2}',
  'builds will fail: free some': 'les builds échoueront : libérez de la place',
  "no {}: apps see the host's own /usr, read-only":
    'pas de {1} : les applications voient le /usr de l’hôte, en lecture',
  'kinds of apps whose programs this host lacks are refused: install those, or apt and dpkg':
    'les types d’applications dont les programmes manquent ici sont refusés : installez-les, ou apt et dpkg',
  '{} in {}, lists of packages: {}': '{1} dans {2}, listes de paquets : {3}',
  'not fetched yet': 'pas encore prises',
  'apps and builds have a network of their own, through pasta':
    'les applications et les builds ont leur propre réseau, par pasta',
  'apps and builds have a network of their own, masqueraded (IPv4)':
    'les applications et les builds ont leur propre réseau, masqué (IPv4)',
  '{}: apps and builds leave through an HTTP(S) proxy, which programs must honour':
    '{1} : les applications et les builds sortent par un mandataire HTTP(S), que les programmes doivent respecter',
  'pasta is not installed (apt install passt)': 'pasta n’est pas installé (apt install passt)',
  '/dev/net/tun cannot be opened': '/dev/net/tun ne peut être ouvert',
  "this machine's resolver listens on loopback alone, where sandboxes do not come":
    'le résolveur de cette machine n’écoute que sur la boucle locale, où les bacs à sable ne vont pas',
};
