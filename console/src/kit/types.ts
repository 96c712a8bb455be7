/** What the API answers, as far as pages read it. */

export interface Me {
  id: string;
  email: string;
  name: string;
  admin: boolean;
  preferredMFA: string;
  creationDate: number;
}

export interface Organisation {
  id: string;
  name: string;
  role: string;
}

export interface LastDeployment {
  id: string;
  number: number;
  state: 'WIP' | 'OK' | 'FAIL' | 'CANCELLED';
  action: string;
  commit: string | null;
  author: string;
  cause: string;
  startedAt: number;
  endedAt: number | null;
  error: string;
}

export type Condition = 'running' | 'deploying' | 'failed' | 'stopped' | 'asleep' | 'never deployed';

export interface Glance {
  id: string;
  name: string;
  kind: string;
  kindName: string;
  state: string;
  condition: Condition;
  instances: Record<string, number>;
  booting: Record<string, number>;
  commit: string | null;
  branch: string;
  url: string | null;
  tags: string[];
  deployment: LastDeployment | null;
  deployedAt: number;
  createdAt: number;
}

export interface Overview {
  id: string;
  name: string;
  role: string;
  isPersonal: boolean;
  can: string[];
  applications: Glance[];
}

export interface Step {
  name: string;
  state: 'waiting' | 'begun' | 'done' | 'undone';
  beganAt: number | null;
  endedAt: number | null;
}

export interface Progress extends LastDeployment {
  note: string;
  steps: Step[];
}

export interface Flavor {
  name: string;
  mem: number;
  cpus: number;
  microservice: boolean;
}

export interface Application {
  id: string;
  name: string;
  description: string;
  ownerId: string;
  instance: {
    type: string;
    variant: { slug: string; name: string };
    minInstances: number;
    maxInstances: number;
    minFlavor: Flavor;
    maxFlavor: Flavor;
    flavors: Flavor[];
    lifetime: string;
  };
  deployment: { url: string };
  vhosts: { fqdn: string }[];
  creationDate: number;
  stickySessions: boolean;
  homogeneous: boolean;
  cancelOnPush: boolean;
  separateBuild: boolean;
  buildFlavor: Flavor;
  state: string;
  commitId: string | null;
  branch: string;
  forceHttps: string;
  env: { name: string; value: string }[];
  tags: string[];
}

export interface Usage {
  id: string;
  name: string;
  flavor: string;
  number: number;
  state: string;
  since: number;
  memoryBytes: number | null;
  memoryLimitBytes: number;
  inFlight: number;
}

export interface RequestSpan {
  at: number;
  count: number;
  statusCodes: Record<string, number>;
}

export interface Series {
  name: string;
  data: { timestamp: number; value: string }[];
}
